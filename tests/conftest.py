"""One thread per process, set before numpy and torch load: two threads on a busy two-core machine are far slower."""

import signal

from rllab.runs.versions import limit_threads

limit_threads()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
