"""Greedy and beam search, held against trying every translation there is."""

from itertools import product

import pytest
import torch

from convatlas.models.decoding import beam_search, greedy_search
from convatlas.text.symbols import END, PADDING, UNKNOWN

KINDS = 6  # 3 of which can be written
LONGEST = 4


class Table:
    """Scores of the next symbol by the sentence, the last two symbols and the place, at random.

    `seen` counts the rows of every step.
    """

    def __init__(self, seed=0):
        random = torch.Generator().manual_seed(seed)
        self.scores = 2 * torch.randn(7, KINDS, KINDS, LONGEST + 1, KINDS, generator=random)
        self.seen = []

    def encode(self, source):
        return (source.sum(1) % 7,)

    def start(self, memory):
        return torch.zeros(len(memory[0]), 2, dtype=torch.int64), torch.zeros_like(memory[0])

    def step(self, symbol, memory, state):
        last, place = state
        last = torch.stack([last[:, 1], symbol], 1)
        self.seen.append(len(symbol))
        return self.scores[memory[0], last[:, 0], last[:, 1], place], (last, place + 1)

    def worth(self, sentence, symbols, penalty):
        """Log-probability of a whole translation over its length penalty, the slow way."""
        total, last = 0.0, (PADDING, PADDING)
        for place, symbol in enumerate([*symbols, END]):
            scores = self.scores[sentence, last[0], last[1], place].clone()
            scores[[PADDING, UNKNOWN]] = float("-inf")
            total += float(scores.log_softmax(0)[symbol])
            last = (last[1], symbol)
        return total / ((6 + len(symbols)) / 6) ** penalty


SOURCE = torch.tensor([[3, 4], [5, 5], [4, 0], [3, 3]])
SENTENCES = [7 % 7, 10 % 7, 4, 6]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_the_best_of_all_translations(penalty):
    for seed in range(3):
        table = Table(seed)
        # Too wide to stop before all translations ended.
        found = beam_search(
            table, SOURCE, [LONGEST] * 4, beam=3 ** (LONGEST + 1), length_penalty=penalty
        )
        every = [list(s) for n in range(LONGEST) for s in product((3, 4, 5), repeat=n)]
        for sentence, symbols in zip(SENTENCES, found, strict=True):
            best = max(every, key=lambda each: table.worth(sentence, each, penalty))
            assert symbols == best


def test_a_beam_of_one_is_greedy_and_a_batch_is_its_sentences():
    for seed in range(5):
        table = Table(seed)
        greedy = greedy_search(table, SOURCE, [LONGEST, 2, LONGEST, 1])
        assert beam_search(table, SOURCE, [LONGEST, 2, LONGEST, 1], beam=1) == greedy
        for row, limit in enumerate((LONGEST, 2, LONGEST, 1)):
            assert greedy_search(table, SOURCE[row : row + 1], [limit]) == [greedy[row]]
            for beam in (2, 3):
                alone = beam_search(table, SOURCE[row : row + 1], [limit], beam=beam)
                together = beam_search(table, SOURCE, [LONGEST, 2, LONGEST, 1], beam=beam)
                assert alone == [together[row]]
            assert len(greedy[row]) <= limit


def test_greedy_takes_the_likeliest_symbol_that_may_be_written():
    table = Table(1)
    (symbols,) = greedy_search(table, SOURCE[:1], [LONGEST])
    last = (PADDING, PADDING)
    for place in range(LONGEST):
        scores = table.scores[SENTENCES[0], last[0], last[1], place]
        best = max((END, 3, 4, 5), key=lambda symbol: float(scores[symbol]))
        if best == END:
            assert len(symbols) == place
            break
        assert symbols[place] == best
        last = (last[1], best)


def test_finished_sentences_are_not_computed_any_more():
    table = Table()
    greedy_search(table, SOURCE, [4, 1, 1, 1])
    assert table.seen[0] == 4
    assert set(table.seen[1:]) <= {1}


@pytest.mark.parametrize("search", [greedy_search, lambda *a: beam_search(*a, beam=2)])
def test_no_sentences_and_no_room_give_nothing(search):
    assert search(Table(), SOURCE[:0], []) == []
    assert search(Table(), SOURCE[:2], [0, 0]) == [[], []]
