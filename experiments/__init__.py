"""Experiments: one question a script. Importing anything of this package limits its process to one thread.

That has to happen before numpy and torch load, so scripts import `experiments.common.frame` before they do.
"""

from rllab.runs.versions import limit_threads

limit_threads()
