"""From the symbols of a text to probabilities of classes."""

import json
from types import MappingProxyType

import torch
from torch import Tensor, nn

from convatlas.data.text.labelled_data import TextFacts
from convatlas.deploy.class_agreement import compare_probabilities
from convatlas.deploy.classifier import CLASSES
from convatlas.deploy.predictor import Agreement, Predictor
from convatlas.text.symbols import END, FIRST_SYMBOL, PADDING


class TextClassifier(Predictor):
    """Network and softmax as one module, with the vocabulary beside it.

    Args:
        network: (n, l) symbols -> (n, classes) logits.
        facts: of the data: classes and vocabulary.

    Shape: int64 (n, l), each text with its end and filled up with padding -> float32 (n, classes),
        each row sums to 1
    """

    inputs = MappingProxyType({"symbols": {0: "n", 1: "l"}})
    outputs = ("probabilities",)
    items = "texts"
    decision = "same top-1"

    def __init__(self, network: nn.Module, facts: TextFacts):
        super().__init__()
        self.network, self.facts = network, facts
        self.vocabulary = facts.read_with()
        self.metadata = {
            CLASSES: json.dumps(facts.classes, ensure_ascii=False),
            "vocabulary": json.dumps(facts.vocabulary, ensure_ascii=False),
        }
        self.usage = (
            f"input `symbols`: int64 (n, l), {FIRST_SYMBOL} + the place in the vocabulary, "
            f"{END} ends a text and {PADDING} fills it up; output `probabilities`"
        )

    def forward(self, symbols: Tensor) -> Tensor:
        return torch.softmax(self.network(symbols).float(), dim=1)

    def example(self, batch: int = 2) -> tuple[Tensor]:
        """Return random texts of a usual length, one of them shorter. Shape: int64 (n, l)"""
        length = max(5, self.facts.usual_symbols)
        text = torch.randint(FIRST_SYMBOL, len(self.vocabulary), (batch, length))
        text[:, -1] = END
        text[0, -2:] = torch.tensor([END, PADDING])
        return (text,)

    def compare(self, expected: Tensor, answered: Tensor, tolerance: float) -> Agreement:
        """Compare probabilities and the most probable class. Shape: both (n, classes)"""
        return compare_probabilities(expected, answered, tolerance)
