import random
from collections import Counter

import pytest

from convatlas.data.sources.split import cut, shares_for
from convatlas.errors import DataError

BOTH = {"test": 0.15, "val": 0.15}


def random_files(seed):
    """A random number of files in a random number of classes."""
    draw = random.Random(seed)
    return {
        f"class {k}": [f"{k}/{i}.png" for i in range(draw.randint(3, 90))]
        for k in range(draw.randint(2, 8))
    }


@pytest.mark.parametrize("seed", range(20))
def test_splits_are_disjoint_complete_stratified_and_stable(seed):
    files = random_files(seed)
    split_of = cut("x", files, BOTH, seed=seed)
    assert sorted(split_of) == sorted(f for members in files.values() for f in members)
    assert set(split_of.values()) == {"train", "val", "test"}
    for members in files.values():
        counts = Counter(split_of[file] for file in members)
        assert min(counts["train"], counts["val"], counts["test"]) >= 1
        for split in ("val", "test"):
            assert abs(counts[split] - 0.15 * len(members)) <= 0.5 or counts[split] == 1
    shuffled = {label: random.sample(m, len(m)) for label, m in reversed(files.items())}
    assert cut("x", shuffled, BOTH, seed=seed) == split_of


def test_another_seed_gives_another_split():
    files = {"a": [str(i) for i in range(100)], "b": [f"b{i}" for i in range(100)]}
    assert cut("x", files, BOTH, seed=0) != cut("x", files, BOTH, seed=1)


def test_a_further_class_does_not_move_the_others():
    files = random_files(3)
    before = cut("x", files, BOTH, seed=0)
    after = cut("x", {**files, "another": ["p", "q", "r"]}, BOTH, seed=0)
    assert before.items() <= after.items()


def test_the_split_is_the_same_on_every_machine_and_version():
    split_of = cut("x", {"a": [f"{i}" for i in range(10)]}, BOTH, seed=0)
    assert sorted(f for f, split in split_of.items() if split != "train") == STORED


STORED = ["1", "4", "6", "8"]  # drawn once, with Python 3.11


def test_twins_go_to_train_while_there_is_room():
    files = {"a": [str(i) for i in range(20)]}
    for seed in range(10):
        split_of = cut("x", files, BOTH, seed=seed, duplicates={"3", "7", "11"})
        assert {split_of[file] for file in ("3", "7", "11")} == {"train"}


@pytest.mark.parametrize(("given", "least"), [((), 3), (("train", "test"), 2)])
def test_a_class_too_small_for_the_cuts_is_refused(given, least):
    shares = shares_for(given)
    files = {"a": [str(i) for i in range(least)], "b\n": ["b"] * (least - 1)}
    with pytest.raises(DataError, match=rf"x: class b\\n must have at least {least} images"):
        cut("x", files, shares, seed=0)
