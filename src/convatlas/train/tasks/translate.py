"""Translation: each symbol from those before it, judged by whole translations."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.data.text.batches import LengthBatches, padded
from convatlas.data.text.pair_data import PairSplit
from convatlas.metric import Metric
from convatlas.models.decoding import greedy_search
from convatlas.text.symbols import PADDING, UNKNOWN
from convatlas.train.task import VALIDATED
from convatlas.train.translation_figures import CHRF, translation_figures

Symbols = tuple[Tensor, Tensor, int]  # source (l,), target (m,), place in the split
Batch = tuple[Tensor, Tensor, Tensor]  # sources (n, l), targets (n, m), places (n,)

MAX_TRANSLATED = 200  # validation sentences that are translated as a whole
MIN_LIMIT, LIMIT_RATIO = 20, 2  # symbols of a translation: at most 20 + 2 x those of its source


class SymbolPairs(Dataset[Symbols]):
    """The symbols of a split's pairs, made once."""

    def __init__(self, split: PairSplit):
        self.pairs = [split.read(place) for place in range(len(split))]

    @property
    def lengths(self) -> list[int]:
        """Symbols of the longer sentence of each pair."""
        return [max(len(source), len(target)) for source, target in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Symbols:
        return *self.pairs[index], index


class Translate:
    """What translation brings to the loop.

    Args:
        train: symbols of the training pairs; `validate` too.
        split: the validation pairs, by the places of `validate`.
        judged: places of `validate` that count; the first of them are translated as a whole.
        longest: symbols of a translation at most.
        label_smoothing: fraction of each truth that is spread over all symbols.
        symbol_dropout: fraction of the symbols read that are unknown, in training only.
        metric: which score decides.
    """

    def __init__(
        self,
        train: SymbolPairs,
        validate: SymbolPairs,
        split: PairSplit,
        judged: Sequence[int],
        *,
        longest: int,
        label_smoothing: float,
        symbol_dropout: float,
        metric: Metric = CHRF,
    ):
        self.metric = metric
        self._train, self._validate, self._split = train, validate, split
        self._judged, self._longest = judged, longest
        self._smoothing, self._dropout = label_smoothing, symbol_dropout

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches of alike lengths: for training in an order that the seed fixes.

        Those for validation begin with the sentences that are translated as a whole.
        """
        order = LengthBatches(self._train.lengths, batch_size, seed)
        train = DataLoader(self._train, batch_sampler=order, collate_fn=collate)
        groups = (self._judged[:MAX_TRANSLATED], self._judged[MAX_TRANSLATED:])
        lengths = self._validate.lengths
        batches = [
            [group[place] for place in batch]
            for group in groups
            for batch in LengthBatches([lengths[place] for place in group], batch_size, None)
        ]
        return train, DataLoader(
            self._validate, batch_sampler=_Fixed(batches, batch_size), collate_fn=collate
        )

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of a symbol, the true ones before it being known."""
        source, target, _ = batch
        read, written = (self._with_unknown(x) if model.training else x for x in (source, target))
        logits = model(read, written)
        return F.cross_entropy(
            logits.flatten(0, 1).float(),
            target.flatten(),
            ignore_index=PADDING,
            label_smoothing=self._smoothing,
        )

    def _with_unknown(self, symbols: Tensor) -> Tensor:
        """Put the unknown symbol in place of some."""
        if not self._dropout:
            return symbols
        dropped = torch.rand(symbols.shape, device=symbols.device) < self._dropout
        return symbols.where(~dropped | (symbols == PADDING), UNKNOWN)

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss`, `val_symbol_accuracy`, `val_chrf` and `val_bleu`."""
        model.eval()
        network: Any = getattr(model, "module", model)
        asked = set(self._judged[:MAX_TRANSLATED])
        sums = torch.zeros(3, dtype=torch.float64)
        found: dict[int, list[int]] = {}
        for source, target, places in loader:
            logits = model(source, target).float()
            known = target != PADDING
            lost = F.cross_entropy(
                logits.flatten(0, 1), target.flatten(), ignore_index=PADDING, reduction="none"
            ).view_as(target)
            right = (logits.argmax(2) == target) & known
            rows = torch.stack([lost.sum(1), right.sum(1), known.sum(1)], 1)
            written = self._translations(network, source, places, asked)
            rows, written, places = gather((rows, written, places))
            sums += rows.double().sum(0).cpu()
            for place, symbols in zip(places.tolist(), written.tolist(), strict=True):
                found[place] = [symbol for symbol in symbols if symbol != PADDING]
        vocabulary = self._split.vocabularies[1]
        shown = [place for place in found if place in asked]
        figures = translation_figures(
            [vocabulary.decode(found[place]) for place in shown],
            [self._split.references[place] for place in shown],
        )
        lost, right, known = (float(each) for each in sums)
        figures |= {"loss": lost / max(1, known), "symbol_accuracy": right / max(1, known)}
        return {VALIDATED + key: value for key, value in figures.items()}

    def _translations(
        self, network: Any, source: Tensor, places: Tensor, asked: set[int]
    ) -> Tensor:
        """Translate the sentences that are asked for, as symbols. Shape: (n, l) -> (n, longest)"""
        written = source.new_full((len(source), self._longest), PADDING)
        rows = [row for row, place in enumerate(places.tolist()) if place in asked]
        if rows:
            wanted = source[rows]
            limits = limits_of(network, wanted, self._longest)
            for row, symbols in zip(rows, greedy_search(network, wanted, limits), strict=True):
                written[row, : len(symbols)] = torch.tensor(symbols, dtype=torch.int64)
        return written


class _Fixed:
    """Batches that are the same in each pass."""

    def __init__(self, batches: Sequence[list[int]], batch_size: int):
        self.batches, self.batch_size, self.drop_last = batches, batch_size, False

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


def limits_of(network: Any, source: Tensor, longest: int) -> list[int]:
    """Return how many symbols the translation of each sentence has at most. Shape: (n, l)"""
    lengths = (source != PADDING).sum(1).tolist()
    return [
        min(longest, max(network.target_length(length), MIN_LIMIT + LIMIT_RATIO * length))
        for length in lengths
    ]


def collate(rows: Sequence[Symbols]) -> Batch:
    """Put pairs into one batch, filled up with padding."""
    sources, targets, places = zip(*rows, strict=True)
    return padded(sources), padded(targets), torch.tensor(places)
