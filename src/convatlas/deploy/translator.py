"""A translator: the network with the vocabularies that make texts of symbols and back."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.text.batches import padded
from convatlas.data.text.pair_data import PairFacts
from convatlas.data.text.read_examples import cleaned
from convatlas.deploy.predictor import Agreement, Predictor, stacked_by_size
from convatlas.deploy.symbol_agreement import SAME_SYMBOLS, compare_scores
from convatlas.models.decoding import LENGTH_PENALTY, beam_search, greedy_search
from convatlas.text.symbols import END, FIRST_SYMBOL
from convatlas.train.tasks.translate import limits_of

BATCH_SENTENCES = 64  # that are translated at once; fewer where several ways are followed
EXAMPLE_LENGTHS = (5, 7)  # symbols of source and target: different ones, as exporters ask


@dataclass(frozen=True)
class Translation:
    """One translation.

    Args:
        text: of the translation.
        unknown: characters of the source that the network does not know, each once.
        symbols: of the source, its end included.
    """

    text: str
    unknown: tuple[str, ...]
    symbols: int


class Translator(Predictor):
    """Translates sentences; exported, it scores the next symbol for each place written.

    Args:
        network: `forward(source, target)` gives scores of each symbol from those before it;
            `encode`, `start` and `step` do so one by one.
        facts: vocabularies and lengths.

    Shape: source int64 (n, l), written int64 (n, m), both ended by 1 and filled up with 0 ->
        float32 (n, m, symbols); place t follows from the source and `written` before t
    """

    outputs = ("logits",)
    items = "sentences"
    decision = SAME_SYMBOLS

    def __init__(self, network: nn.Module, facts: PairFacts):
        super().__init__()
        self.network, self.facts = network, facts
        self.source, self.target = facts.vocabularies()
        self.inputs = {"source": {0: "n", 1: "l"}, "written": {0: "n", 1: "m"}}
        self.metadata = {
            "source_name": facts.source_name,
            "target_name": facts.target_name,
            "source_vocabulary": json.dumps(self.source.to_dict(), ensure_ascii=False),
            "target_vocabulary": json.dumps(self.target.to_dict(), ensure_ascii=False),
            "longest_target": str(facts.longest_target),
        }
        self.usage = (
            "inputs `source` int64 (n, l), the symbols of sentences ended by 1 and filled up with "
            "0, and `written` int64 (n, m), what is written so far and a 0 behind it; output "
            f"`logits` (n, m, {len(self.target)}), in the last place those of the next symbol"
        )

    def forward(self, source: Tensor, written: Tensor) -> Tensor:
        return self.network(source, written).float()

    def example(self, batch: int = 2) -> tuple[Tensor, Tensor]:
        """Return random sentences of five symbols, seven of whose translations are written."""
        ends = (len(self.source), len(self.target))
        made = [
            torch.randint(FIRST_SYMBOL, end, (batch, length))
            for end, length in zip(ends, EXAMPLE_LENGTHS, strict=True)
        ]
        return made[0], made[1]

    def compare(self, expected: Any, answered: Any, tolerance: float) -> Agreement:
        """Compare the likeliest symbols of every place, and all scores."""
        return compare_scores(expected, answered)

    def answers(self, items: Sequence[Any], run: Callable[..., Any]) -> Any:
        """Return the scores of each sentence; they are of different lengths."""
        return [part for (part,) in stacked_by_size(items, run)]

    def encode(self, text: str) -> Tensor:
        """Return the symbols of a sentence and its end. Shape: int64 (l,)"""
        return torch.tensor([*self.source.encode(cleaned(text)), END])

    def translate(
        self,
        texts: Sequence[str],
        *,
        beam: int = 1,
        length_penalty: float = LENGTH_PENALTY,
        done: Callable[[int], None] = lambda count: None,
    ) -> list[Translation]:
        """Translate sentences of any lengths, in their order.

        Args:
            beam: ways that are followed at once; 1 takes the likeliest symbol each time.
            length_penalty: exponent; more prefers longer translations, where `beam` is above 1.
            done: is told how many are finished.
        """
        symbols = [self.encode(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda place: len(symbols[place]))
        step = max(1, BATCH_SENTENCES // beam)
        written: dict[int, str] = {}
        training = self.training
        self.eval()
        for start in range(0, len(order), step):
            places = order[start : start + step]
            found = self._written([symbols[place] for place in places], beam, length_penalty)
            written |= dict(zip(places, map(self.target.decode, found), strict=True))
            done(len(written))
        self.train(training)
        return [
            Translation(
                written[place], tuple(self.source.unknown(cleaned(text))), len(symbols[place])
            )
            for place, text in enumerate(texts)
        ]

    def _written(
        self, symbols: Sequence[Tensor], beam: int, length_penalty: float
    ) -> list[list[int]]:
        home = next((each.device for each in self.state_dict().values()), torch.device("cpu"))
        source = padded(symbols).to(home)
        limits = limits_of(self.network, source, self.facts.longest_target)
        if beam == 1:
            return greedy_search(self.network, source, limits)
        return beam_search(self.network, source, limits, beam=beam, length_penalty=length_penalty)
