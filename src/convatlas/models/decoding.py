"""Write translations symbol by symbol: the likeliest symbol each time, or the best of several ways.

Works with every network that has `encode`, `start` and `step`. What is written already is kept in
the network's own state, so that a symbol costs the same wherever it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import torch
from torch import Tensor

from convatlas.text.symbols import END, PADDING, UNKNOWN

LENGTH_PENALTY = 0.6  # exponent; 0 prefers short translations
NEVER = (PADDING, UNKNOWN)  # written


@torch.no_grad()
def greedy_search(network: Any, source: Tensor, limits: Sequence[int]) -> list[list[int]]:
    """Take the likeliest symbol each time until the end is written or a limit reached.

    Args:
        network: with `encode`, `start` and `step`.
        limits: of symbols, for each sentence.

    Shape: source int64 (n, l), padded with 0

    Returns the symbols of each translation without the end.
    """
    memory, rows = network.encode(source), list(range(len(limits)))
    state, symbol = network.start(memory), source.new_full((len(limits),), PADDING)
    written: list[list[int]] = [[] for _ in limits]
    for place in range(max(limits, default=0)):
        logits, state = network.step(symbol, memory, state)
        symbol = allowed(logits).argmax(1)
        going = []
        for number, (row, each) in enumerate(zip(rows, symbol.tolist(), strict=True)):
            if each != END:
                written[row].append(each)
                if place + 1 < limits[row]:
                    going.append(number)
        if not going:
            break
        if len(going) < len(rows):
            kept = torch.tensor(going, device=source.device)
            rows = [rows[number] for number in going]
            memory, state, symbol = _rows(memory, kept), _rows(state, kept), symbol[kept]
    return written


@torch.no_grad()
def beam_search(
    network: Any,
    source: Tensor,
    limits: Sequence[int],
    *,
    beam: int,
    length_penalty: float = LENGTH_PENALTY,
) -> list[list[int]]:
    """Return the best translation that ends, of the likeliest ways followed side by side.

    A translation is worth its log-probability over ((5 + length) / 6) to the power of the penalty
    (Wu et al. 2016, arXiv:1609.08144, equation 14), its end counted as a symbol.

    Args:
        network: with `encode`, `start` and `step`.
        limits: of symbols, for each sentence.
        beam: ways that are followed at once.

    Shape: source int64 (n, l), padded with 0

    Returns the symbols of each translation without the end.
    """
    searches = [_Search(beam, limit, length_penalty) for limit in limits]
    memory = tuple(each.repeat_interleave(beam, 0) for each in network.encode(source))
    state, symbol = network.start(memory), source.new_full((len(limits) * beam,), PADDING)
    scores = torch.full((len(limits), beam), -inf, device=source.device)
    scores[:, 0] = 0  # at first all ways are one
    while any(search.going for search in searches):
        logits, state = network.step(symbol, memory, state)
        kinds = logits.shape[1]
        reached = scores[:, :, None] + allowed(logits).log_softmax(1).view(-1, beam, kinds)
        # Twice as many as go on: half of them may end.
        best, places = reached.flatten(1).topk(min(2 * beam, beam * kinds))
        steps = [
            search.advance(values, [divmod(place, kinds) for place in found])
            for search, values, found in zip(searches, best.tolist(), places.tolist(), strict=True)
        ]
        ways, symbols, values = torch.tensor(steps, dtype=torch.float64).unbind(2)
        first = torch.arange(len(searches))[:, None] * beam
        symbol = symbols.long().flatten().to(source.device)
        scores = values.to(scores)
        state = _rows(state, (ways.long() + first).flatten().to(source.device))
    return [search.best() for search in searches]


@dataclass
class _Search:
    """The ways that are followed for one sentence, and the translations that ended.

    Args:
        ways: symbols of each, the likeliest first.
        ended: worth and symbols of each.
    """

    beam: int
    limit: int
    penalty: float
    ways: list[list[int]] = field(default_factory=lambda: [[]])
    ended: list[tuple[float, list[int]]] = field(default_factory=list)
    length: int = 0

    @property
    def going(self) -> bool:
        """Whether anything can still come of it."""
        return self.length < self.limit and len(self.ended) < self.beam and bool(self.ways)

    def advance(
        self, scores: Sequence[float], found: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int, float]]:
        """Take the next symbols, the likeliest first.

        Args:
            scores: log-probabilities of the ways with these symbols.
            found: way and symbol.

        Returns way, symbol and score of each way that goes on; what is missing cannot be followed.
        """
        steps: list[tuple[int, int, float]] = []
        ways: list[list[int]] = []
        if self.going:
            self.length += 1
            worth = ((5 + self.length) / 6) ** self.penalty
            for rank, (score, (way, symbol)) in enumerate(zip(scores, found, strict=True)):
                if score == -inf or len(steps) == self.beam:
                    break
                if symbol != END:
                    steps.append((way, symbol, score))
                    ways.append([*self.ways[way], symbol])
                elif rank < self.beam:
                    self.ended.append((score / worth, self.ways[way]))
            self.ways = ways
        return steps + [(0, END, -inf)] * (self.beam - len(steps))

    def best(self) -> list[int]:
        """Return the symbols of the best translation that ended, or else of the likeliest way."""
        if self.ended:
            return max(self.ended, key=lambda each: each[0])[1]
        return self.ways[0] if self.ways else []


def allowed(logits: Tensor) -> Tensor:
    """Return logits by which padding and the unknown symbol are never written."""
    logits = logits.float().clone()
    logits[:, list(NEVER)] = -inf
    return logits


def _rows(tensors: Sequence[Tensor], kept: Tensor) -> tuple[Tensor, ...]:
    """Take rows of the first axis of each tensor."""
    return tuple(each.index_select(0, kept) for each in tensors)
