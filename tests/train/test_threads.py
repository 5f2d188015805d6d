import time

import torch

from convatlas.train.threads import fastest_threads


def test_picks_the_count_with_the_shorter_step():
    def step():
        time.sleep(0.02 if torch.get_num_threads() > 1 else 0.001)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert fastest_threads(step).threads == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
