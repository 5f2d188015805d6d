"""For every test: one CPU thread a process, as the suite runs in two processes on two cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for what the tests start as a process of its own

import torch

torch.set_num_threads(1)
