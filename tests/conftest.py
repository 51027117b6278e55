"""One thread per process, set before numpy and torch load: two threads on a busy two-core machine are far slower."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import torch

torch.set_num_threads(1)
