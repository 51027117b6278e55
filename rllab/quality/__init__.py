"""Quality: how good estimators are for what they cost, against a truth that is named."""

from rllab.quality.measure import measure_quality as measure_quality
from rllab.quality.report import Report as Report
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)
