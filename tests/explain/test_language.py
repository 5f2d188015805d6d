"""Texts in bits: counts against a slow plain version, the figure and its interval, doubts."""

import math
from collections import Counter

import pytest
import torch

from convatlas.data.text.line_data import LineSplit
from convatlas.data.text.read_examples import Example
from convatlas.data.text.vocabulary import Characters
from convatlas.explain.language.counts import SymbolCounts
from convatlas.explain.language.evaluation import NETWORK, LanguageEvaluation


def written_out(train, texts, symbols, order):
    """Witten-Bell by dictionaries, a symbol at a time."""
    counts = [Counter(), Counter(), Counter()]
    for text in train:
        seen = [0, 0, *text]
        for place in range(2, len(seen)):
            for length in range(3):
                counts[length][tuple(seen[place - length : place + 1])] += 1

    def share(run, length):
        if length < 0:
            return 1 / (symbols - 1)
        after = {r: n for r, n in counts[length].items() if r[:-1] == run[:-1]}
        shorter = share(run[1:], length - 1)
        if not after:
            return shorter
        total, kinds = sum(after.values()), len(after)
        return (counts[length][run] + kinds * shorter) / (total + kinds)

    found = []
    for text in texts:
        seen = [0, 0, *text]
        runs = [tuple(seen[place - order + 1 : place + 1]) for place in range(2, len(seen))]
        found.append(sum(-math.log2(share(run, order - 1)) for run in runs))
    return found


@pytest.mark.parametrize("order", [1, 2, 3])
def test_counts_are_those_of_a_slow_plain_version(order):
    random = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 12, (9,), generator=random).tolist()
    texts = [torch.randint(1, 7, (length,), generator=random) for length in lengths]
    got = SymbolCounts(texts[:6], 8).bits(texts, order)
    rows = [text.tolist() for text in texts]
    assert got.tolist() == pytest.approx(written_out(rows[:6], rows, 8, order))


def test_the_probabilities_behind_any_context_add_up_to_one():
    counts = SymbolCounts([torch.tensor([3, 4, 3, 5, 1]), torch.tensor([4, 4, 1])], 7)
    for context in ([3, 4], [4, 4], [6, 6]):
        ends = [torch.tensor([*context, last]) for last in range(1, 7)]
        bits = counts.bits(ends, 3) - counts.bits([torch.tensor(context)] * 6, 3)
        assert float((2**-bits).sum()) == pytest.approx(1)


def evaluation(network, trigram):
    vocabulary = Characters("ab")
    split = LineSplit([Example(f"t:{n}", ("ab" * (n + 1),)) for n in range(3)], vocabulary)
    bits = {NETWORK: torch.tensor(network), "trigram counts": torch.tensor(trigram)}
    return LanguageEvaluation(split, bits, torch.tensor([3, 5, 7]), 0.0)


def test_the_figure_counts_characters_and_not_texts():
    found = evaluation([3.0, 10.0, 7.0], [9.0, 15.0, 21.0])
    assert found.figures == pytest.approx({"bits_per_char": 20 / 15, "bits_per_char_trigram": 3.0})
    low, high = found.interval
    assert low < 20 / 15 < high
    assert found.doubts() == []


def test_a_network_no_better_than_counts_is_doubted():
    (doubt,) = evaluation([9.0, 15.0, 21.0], [3.0, 5.0, 7.0]).doubts()
    assert "no fewer than those of trigram counts (1 bits)" in doubt
