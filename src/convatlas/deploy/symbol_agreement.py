"""How far two answers agree that are scores of every symbol at each place of texts."""

from collections.abc import Sequence

from torch import Tensor

from convatlas.deploy.predictor import Agreement

SAME_SYMBOLS = "the same symbols"


def compare_scores(expected: Sequence[Tensor], answered: Sequence[Tensor]) -> Agreement:
    """Compare the likeliest symbols of every place, and all scores. Shape: each (l, symbols)"""
    same, apart = [], 0.0
    for one, other in zip(expected, answered, strict=True):
        same.append(bool((one.argmax(-1) == other.argmax(-1)).all()))
        apart = max(apart, float((one - other).abs().max()))
    return Agreement(sum(same) / len(same), apart)
