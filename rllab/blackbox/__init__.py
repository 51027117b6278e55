"""Black boxes anywhere in a torch graph, the gradient of each chosen by who puts it there."""

from rllab.blackbox.module import BlackBox as BlackBox
from rllab.blackbox.module import Scope as Scope
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)
