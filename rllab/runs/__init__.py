"""Runs: records on disk, many of them in processes, going on after an interruption, and their statistics.

Importing this package loads neither numpy nor torch, so a script can limit its threads first. Statistics over runs are
in `rllab.runs.statistics`.
"""

from rllab.files import write_atomically as write_atomically
from rllab.runs.errors import ResultsConflict as ResultsConflict
from rllab.runs.errors import SweepFailed as SweepFailed
from rllab.runs.errors import one_line_errors as one_line_errors
from rllab.runs.job import Job as Job
from rllab.runs.loading import load_records as load_records
from rllab.runs.record import Record as Record
from rllab.runs.sweeps import sweep as sweep
from rllab.runs.versions import limit_threads as limit_threads
from rllab.runs.versions import machine as machine
from rllab.runs.versions import package_versions as package_versions
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)
