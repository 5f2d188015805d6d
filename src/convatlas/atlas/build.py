"""Count every registered network and write the index: `python -m convatlas.atlas.build`."""

import multiprocessing
import os

import torch

from convatlas.atlas.counting import index_entry
from convatlas.atlas.index import INDEX, Indexed, write_index
from convatlas.models import find_entry, model_names


def count_registered() -> list[Indexed]:
    """Count each network of the package at its published input; a user's own are left out."""
    names = [name for name in model_names() if find_entry(name).ours]
    # Counting is Python at work: one process a core, each with one thread.
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if workers == 1:
        return list(map(_indexed, names))
    with multiprocessing.get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
        return list(pool.imap(_indexed, names, chunksize=8))


def _indexed(name: str) -> Indexed:
    return index_entry(find_entry(name))


def main() -> None:
    """Write the index and say so."""
    counted = count_registered()
    write_index(counted)
    print(f"{INDEX.name}: {len(counted)} networks")


if __name__ == "__main__":
    main()
