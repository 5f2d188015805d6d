"""The texts of a split in bits per character, beside counts, and texts that are continued."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from convatlas.data.text.labelled_data import text_symbols
from convatlas.data.text.line_data import LineSplit
from convatlas.errors import DataError
from convatlas.explain.language.counts import ORDERS, SymbolCounts
from convatlas.explain.mean_interval import mean_interval
from convatlas.progress import Progress
from convatlas.text import printable
from convatlas.text.symbols import UNKNOWN
from convatlas.train.tasks.language import BITS_PER_CHAR

NETWORK = "network"
CONTINUED, WRITTEN = 6, 80  # texts that are continued, and symbols that are written
MAX_UNKNOWN_SYMBOLS = 0.01  # of the symbols, above which bits say too little
MAX_COUNTED_SYMBOLS = 5_000_000  # training symbols that are counted


class Bits(Protocol):
    """What a text costs."""

    @property
    def bits(self) -> float: ...
    @property
    def characters(self) -> int: ...


class TextAnswers(Protocol):
    """What is evaluated: bits of texts, and what is written behind beginnings."""

    @property
    def writes(self) -> bool: ...

    def score(self, texts: Sequence[str], done: Callable[[int], None]) -> Sequence[Bits]:
        """Return what each text costs."""
        ...

    def write(
        self, starts: Sequence[str], length: int, *, temperature: float = 0.0, seed: int = 0
    ) -> list[str]:
        """Return what is written behind each beginning."""
        ...


@dataclass(frozen=True, eq=False)
class LanguageEvaluation:
    """Bits of every text.

    Args:
        bits: by code, of the network and of counts, each text as a whole. Shape: each (n,)
        characters: of each text, its end counted as one. Shape: (n,)
        unknown_share: of the symbols, 0..1.
        continued: beginning, what stands there, the likeliest symbols, drawn ones; of a few texts.
    """

    split: LineSplit
    bits: Mapping[str, Tensor]
    characters: Tensor
    unknown_share: float
    continued: Sequence[tuple[str, str, str, str]] = ()
    warnings: tuple[str, ...] = ()
    seen: int = 0

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def figures(self) -> dict[str, float]:
        """Bits per character of the network, and of counts."""
        found = {BITS_PER_CHAR.key: self.mean(NETWORK)}
        for name in self.bits:
            if name != NETWORK:
                found[f"{BITS_PER_CHAR.key}_{name.partition(' ')[0]}"] = self.mean(name)
        return found

    def mean(self, name: str) -> float:
        """Return the bits per character of a code, over all characters."""
        return float(self.bits[name].sum() / self.characters.sum())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """In which the network's figure lies with 95 % confidence, texts drawn anew.

        The figure is a ratio of sums; its deviation is that of what each text adds to it.
        """
        mean = self.mean(NETWORK)
        apart = (self.bits[NETWORK] - mean * self.characters) / self.characters.double().mean()
        low, high = mean_interval(apart)
        return mean + low, mean + high

    def with_findings(self, warnings: Sequence[str], seen: int) -> "LanguageEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        beside = ", ".join(
            f"{name} {BITS_PER_CHAR.text(self.mean(name))}" for name in self.bits if name != NETWORK
        )
        return {
            "words": f"{BITS_PER_CHAR.text(self.mean(NETWORK))} per character of {len(self):,} "
            f"texts" + (f" ({beside})" if beside else ""),
            "interval": list(self.interval),
            "doubts": self.doubts(),
        }

    def doubts(self) -> list[str]:
        """Return a sentence where counts are as good, and where much is unknown."""
        found = [
            f"its bits per character are no fewer than those of {name} "
            f"({BITS_PER_CHAR.text(self.mean(name))}): more time, more text or a larger network "
            "may help"
            for name in self.bits
            if name != NETWORK and self.mean(NETWORK) >= self.mean(name)
        ]
        if self.unknown_share > MAX_UNKNOWN_SYMBOLS:
            found.append(
                f"{self.unknown_share:.1%} of the symbols are unknown to it, and what they stand "
                "for costs no bits: the figure is too low"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        return {
            "texts": len(self),
            "characters": int(self.characters.sum()),
            "unknown_share": self.unknown_share,
            "codes": {name: self.mean(name) for name in self.bits},
            "bits_per_char_by_text": dict(
                zip(self.split.files, self.by_text(NETWORK).tolist(), strict=True)
            ),
        }

    def by_text(self, name: str) -> Tensor:
        """Return the bits per character of each text. Shape: (n,)"""
        return self.bits[name] / self.characters

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return bits per character by code, with those of the cheapest and dearest texts."""
        heads = ("code", "bits per character", "least", "most", "bits in all")
        rows = [
            (
                name,
                f"{self.mean(name):.4f}",
                f"{float(self.by_text(name).min()):.4f}",
                f"{float(self.by_text(name).max()):.4f}",
                f"{float(bits.sum()):,.0f}",
            )
            for name, bits in self.bits.items()
        ]
        return heads, rows, heads[1:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        return [f"{BITS_PER_CHAR.words} {self.record()['words']}"]


def evaluate_language(
    model: TextAnswers, split: LineSplit, progress: Progress, items: str
) -> LanguageEvaluation:
    """Give every text of a split its bits, and continue a few.

    Args:
        items: what texts are called.

    Raises:
        DataError: an answer is not finite.
    """
    bar = progress.bar("testing", len(split), unit=items)
    found = model.score(split.texts, bar.update)
    bar.close()
    network = torch.tensor([each.bits for each in found], dtype=torch.float64)
    if not bool(network.isfinite().all()):
        odd = split.files[int((~network.isfinite()).nonzero()[0])]
        raise DataError(f"the network's answer is not a finite number for {printable(odd)}")
    symbols = [split.read(place) for place in range(len(split))]
    unknown = sum(int((each == UNKNOWN).sum()) for each in symbols)
    return LanguageEvaluation(
        split,
        {NETWORK: network, **_counted(split, symbols)},
        torch.tensor([each.characters for each in found]),
        unknown / max(1, sum(map(len, symbols))),
        _continued(model, split),
    )


def _counted(split: LineSplit, symbols: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return what the texts cost by counts of the training part; nothing where it is not there."""
    if split.train is None:
        return {}
    vocabulary, counted, total = split.vocabulary, [], 0
    for example in split.train:
        counted.append(text_symbols(example.fields[0], vocabulary))
        total += len(counted[-1])
        if total > MAX_COUNTED_SYMBOLS:
            break
    counts = SymbolCounts(counted, len(vocabulary))
    return {name: counts.bits(symbols, order) for name, order in ORDERS.items()}


def _continued(model: TextAnswers, split: LineSplit) -> list[tuple[str, str, str, str]]:
    """Continue the first halves of a few texts, evenly spaced."""
    if not model.writes:
        return []
    count = min(CONTINUED, len(split))
    texts = [split.texts[place * len(split) // count] for place in range(count)]
    halves = [_half(text) for text in texts]
    likeliest, drawn = (model.write(halves, WRITTEN, temperature=t) for t in (0.0, 1.0))
    rest = [text[len(half) :] for text, half in zip(texts, halves, strict=True)]
    return list(zip(halves, rest, likeliest, drawn, strict=True))


def _half(text: str) -> str:
    """Return the first half of a text, to the end of a word if there is one."""
    place = text.find(" ", len(text) // 2)
    return text[: place + 1 if place >= 0 else len(text) // 2]
