"""Black boxes anywhere in a torch graph, the gradient of each chosen by who puts it there."""

from rllab.blackbox.module import BlackBox as BlackBox
from rllab.blackbox.module import Scope as Scope
