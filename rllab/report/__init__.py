"""Reports: recorded runs as one HTML file that needs nothing else; it needs the extra `report`."""

from rllab.report.page import write_report as write_report
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)
