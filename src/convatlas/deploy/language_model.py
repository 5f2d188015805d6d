"""A language model: the network with the vocabulary that makes symbols of texts and back."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.text.batches import padded
from convatlas.data.text.labelled_data import text_symbols
from convatlas.data.text.line_data import LineFacts
from convatlas.data.text.read_examples import cleaned
from convatlas.data.text.read_plain import cut_line
from convatlas.deploy.predictor import Agreement, Predictor, stacked_by_size
from convatlas.deploy.symbol_agreement import SAME_SYMBOLS, compare_scores
from convatlas.models.continue_text import continue_texts
from convatlas.text.symbols import FIRST_SYMBOL
from convatlas.train.tasks.language import symbol_nats

BATCH_TEXTS = 64
EXAMPLE_LENGTH = 7  # symbols


@dataclass(frozen=True)
class TextBits:
    """What a text costs.

    Args:
        bits: of all its symbols, its end included.
        characters: of it, its end counted as one.
        unknown: characters that the network does not know, each once.
    """

    bits: float
    characters: int
    unknown: tuple[str, ...]

    @property
    def per_character(self) -> float:
        """Bits per character."""
        return self.bits / self.characters


class LanguageModel(Predictor):
    """Scores each next symbol of texts, and writes on after them.

    Args:
        network: (n, l) symbols -> (n, l, symbols) logits, those of a place from the symbols before
            it; `start` and `step` do so one by one.
        facts: vocabulary and lengths.

    Shape: int64 (n, l), texts ended by 1 and filled up with 0 -> float32 (n, l, symbols)
    """

    inputs = MappingProxyType({"text": {0: "n", 1: "l"}})
    outputs = ("logits",)
    items = "texts"
    decision = SAME_SYMBOLS

    def __init__(self, network: nn.Module, facts: LineFacts):
        super().__init__()
        self.network, self.facts = network, facts
        self.vocabulary = facts.read_with()
        self.metadata = {"vocabulary": json.dumps(facts.vocabulary, ensure_ascii=False)}
        self.usage = (
            "input `text` int64 (n, l): symbols of texts, ended by 1 and filled up with 0, or a 0 "
            f"behind what is written so far; output `logits` (n, l, {len(self.vocabulary)}), at "
            "each place those of its symbol from the ones before it"
        )

    def forward(self, text: Tensor) -> Tensor:
        return self.network(text).float()

    def example(self, batch: int = 2) -> tuple[Tensor]:
        """Return random texts. Shape: int64 (n, l)"""
        return (torch.randint(FIRST_SYMBOL, len(self.vocabulary), (batch, EXAMPLE_LENGTH)),)

    def compare(self, expected: Any, answered: Any, tolerance: float) -> Agreement:
        """Compare the likeliest symbols of every place, and all scores."""
        return compare_scores(expected, answered)

    def answers(self, items: Sequence[Any], run: Callable[..., Any]) -> Any:
        """Return the scores of each text; they are of different lengths."""
        return [part for (part,) in stacked_by_size(items, run)]

    @torch.no_grad()
    def score(
        self, texts: Sequence[str], done: Callable[[int], None] = lambda count: None
    ) -> list[TextBits]:
        """Return what texts of any lengths cost, in their order.

        A text longer than those that were trained on is cut as those were, its parts added up.

        Args:
            done: is told how many are finished.
        """
        parts = [self.parts(text) for text in texts]
        owners = [place for place, some in enumerate(parts) for _ in some]
        pieces = [text_symbols(part, self.vocabulary) for some in parts for part in some]
        bits = [0.0] * len(texts)
        order = sorted(range(len(pieces)), key=lambda place: len(pieces[place]))
        for start in range(0, len(order), BATCH_TEXTS):
            places = order[start : start + BATCH_TEXTS]
            found = self._bits([pieces[place] for place in places])
            for place, each in zip(places, found.tolist(), strict=True):
                bits[owners[place]] += each
            done(min(len(texts), (start + len(places)) * len(texts) // len(order)))
        return [
            TextBits(each, sum(len(part) + 1 for part in some), self._unknown(text))
            for each, some, text in zip(bits, parts, texts, strict=True)
        ]

    def parts(self, text: str) -> list[str]:
        """Return a text as it is read: cleaned, and cut where it is too long."""
        return cut_line(cleaned(text), self.facts.max_characters) or [""]

    def _unknown(self, text: str) -> tuple[str, ...]:
        return tuple(self.vocabulary.unknown(cleaned(text)))

    def _bits(self, pieces: Sequence[Tensor]) -> Tensor:
        """Return the bits of texts in one batch. Shape: (l,) each -> float64 (n,)"""
        text = padded(pieces).to(next(self.parameters()).device)
        training = self.training
        logits = self.eval()(text)
        self.train(training)
        return (symbol_nats(logits, text).sum(1) / math.log(2)).cpu()

    @property
    def writes(self) -> bool:
        """Whether the network can go on symbol by symbol."""
        return hasattr(self.network, "step") and hasattr(self.network, "start")

    def write(
        self, starts: Sequence[str], length: int, *, temperature: float = 0.0, seed: int = 0
    ) -> list[str]:
        """Return what the network writes after each text, at most `length` symbols.

        Args:
            temperature: 0 takes the likeliest symbol each time, 1 draws by their probabilities.
            seed: the same one draws the same texts.
        """
        training = self.training
        self.eval()
        random = torch.Generator().manual_seed(seed)
        written: list[str] = []
        for first in range(0, len(starts), BATCH_TEXTS):
            symbols = [self._start(start) for start in starts[first : first + BATCH_TEXTS]]
            found = continue_texts(
                self.network, symbols, length, temperature=temperature, random=random
            )
            for start, more in zip(symbols, found, strict=True):
                before = len(self.vocabulary.decode(start))
                written.append(self.vocabulary.decode([*start, *more])[before:])
        self.train(training)
        return written

    def _start(self, text: str) -> list[int]:
        """Return the symbols of a beginning; its last part where it is long, a space at its end."""
        last = self.parts(text)[-1]
        space = " " if last and text[-1:].isspace() else ""
        return self.vocabulary.encode(last + space)
