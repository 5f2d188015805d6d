"""Write on after given texts, symbol by symbol: the likeliest each time, or one drawn by chance.

Works with every network that has `start(batch)` and `step(symbol, state)`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convatlas.models.decoding import allowed
from convatlas.text.symbols import END, PADDING


@torch.no_grad()
def continue_texts(
    network: Any,
    starts: Sequence[Sequence[int]],
    length: int,
    *,
    temperature: float = 0.0,
    random: torch.Generator | None = None,
) -> list[list[int]]:
    """Return what the network writes after each text, without the end.

    A text begins with its given symbols; from there on each symbol is the one written before.

    Args:
        network: reads `PADDING` before the first symbol.
        starts: symbols of each text, perhaps none.
        length: symbols that are written at most.
        temperature: logits are divided by it before a symbol is drawn; 0 takes the likeliest.
        random: draws; the same state draws the same texts.
    """
    count = len(starts)
    rows: list[list[int]] = [list(start) for start in starts]
    given, ended = [len(row) for row in rows], [False] * count
    device = next(network.parameters()).device
    state, symbol = network.start(count), torch.full((count,), PADDING, device=device)
    for place in range(max(given, default=0) + length):
        logits, state = network.step(symbol, state)
        chosen = _chosen(allowed(logits), temperature, random).tolist()
        for row, best in enumerate(chosen):
            if place < given[row] or ended[row]:
                continue
            if best == END or place >= given[row] + length:
                ended[row] = True
            else:
                rows[row].append(best)
        if all(ended):
            break
        following = [row[place] if place < len(row) else END for row in rows]
        symbol = torch.tensor(following, device=device)
    return [row[start:] for row, start in zip(rows, given, strict=True)]


def _chosen(logits: Tensor, temperature: float, random: torch.Generator | None) -> Tensor:
    """Return a symbol for each row. Shape: (n, symbols) -> (n,)"""
    if not temperature:
        return logits.argmax(1)
    shares = (logits / temperature).softmax(1).cpu()
    return torch.multinomial(shares, 1, generator=random)[:, 0]
