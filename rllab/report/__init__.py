"""Reports: recorded runs as one HTML file that needs nothing else; it needs the extra `report`."""

from rllab.report.page import write_report as write_report
