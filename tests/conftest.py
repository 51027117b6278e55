"""One thread per process, set before numpy and torch load: two threads on a busy two-core machine are far slower."""

from rllab.runs.versions import limit_threads

limit_threads()
