"""What texts cost without a network: symbols by their frequency, and behind the two before them.

Source: Witten, Bell, "The Zero-Frequency Problem", IEEE Transactions on Information Theory 37,
    1991, method C: a context gives new symbols as much as it has seen different ones.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from convatlas.text.symbols import PADDING

UNIGRAM, TRIGRAM = "unigram counts", "trigram counts"
ORDERS = {UNIGRAM: 1, TRIGRAM: 3}


class SymbolCounts:
    """How often each symbol stands behind each two, one or none before it.

    Args:
        texts: symbols of each training text, its end included. Shape: int64 (l,) each
        symbols: size of the vocabulary; padding is never foretold.
    """

    def __init__(self, texts: Sequence[Tensor], symbols: int):
        self.symbols = symbols
        places = _contexts(texts)
        self._orders = [_Order(places[:, 2 - order :], symbols) for order in range(3)]

    def bits(self, texts: Sequence[Tensor], order: int) -> Tensor:
        """Return what each text costs. Shape: int64 (l,) each -> float64 (n,)

        Args:
            order: symbols that count: 1 is each by itself, 3 with the two before it.
        """
        places = _contexts(texts)
        shares = np.full(len(places), 1 / (self.symbols - 1))
        for number, counted in enumerate(self._orders[:order]):
            shares = counted.mixed(places[:, 2 - number :], shares)
        bits = torch.from_numpy(-np.log(shares) / math.log(2))
        return torch.stack([part.sum() for part in bits.split([len(text) for text in texts])])


class _Order:
    """Counts of symbols behind contexts of one length.

    Args:
        places: context and symbol of each place. Shape: (places, context + 1)
    """

    def __init__(self, places: np.ndarray, symbols: int):
        self.symbols = symbols
        self.runs, self.counts = np.unique(self._number(places), return_counts=True)
        self.contexts, owners = np.unique(self.runs // symbols, return_inverse=True)
        self.totals = np.bincount(owners, weights=self.counts)
        self.kinds = np.bincount(owners)

    def mixed(self, places: np.ndarray, shorter: np.ndarray) -> np.ndarray:
        """Return probabilities mixed with those of a shorter context. Shape: (places,)"""
        runs = self._number(places)
        counts = _looked_up(self.runs, self.counts, runs)
        totals = _looked_up(self.contexts, self.totals, runs // self.symbols)
        kinds = _looked_up(self.contexts, self.kinds, runs // self.symbols)
        seen = np.maximum(totals + kinds, 1)
        return np.where(totals > 0, (counts + kinds * shorter) / seen, shorter)

    def _number(self, places: np.ndarray) -> np.ndarray:
        """Write symbols one behind the other as one number."""
        number = np.zeros(len(places), dtype=np.int64)
        for column in places.T:
            number = number * self.symbols + column
        return number


def _contexts(texts: Sequence[Tensor]) -> np.ndarray:
    """Return each symbol with the two before it, padding at the start. Shape: (places, 3)"""
    rows = []
    for text in texts:
        padded = np.concatenate([np.full(2, PADDING), text.numpy()])
        rows.append(np.stack([padded[:-2], padded[1:-1], padded[2:]], axis=1))
    return np.concatenate(rows).astype(np.int64)


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the value of each wanted key, 0 where there is none."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
