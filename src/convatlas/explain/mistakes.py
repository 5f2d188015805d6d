"""The worst mistakes: wrong, and sure of it."""

from dataclasses import dataclass

from convatlas.explain.evaluation import Evaluation


@dataclass(frozen=True)
class Mistake:
    """One image that was given the wrong class.

    Args:
        index: its place in the evaluated split.
        probability: of the wrong class.
        true_probability: of the right one.
    """

    index: int
    file: str
    true: int
    predicted: int
    probability: float
    true_probability: float


def worst_mistakes(evaluation: Evaluation, most: int = 24) -> list[Mistake]:
    """Images with a wrong class, the most confident first."""
    sure = evaluation.probabilities.max(dim=1).values
    wrong = (evaluation.predicted != evaluation.labels).nonzero()[:, 0]
    order = wrong[sure[wrong].argsort(descending=True, stable=True)][:most]
    return [_mistake(evaluation, index) for index in order.tolist()]


def _mistake(evaluation: Evaluation, index: int) -> Mistake:
    answer = evaluation.probabilities[index]
    true, predicted = int(evaluation.labels[index]), int(answer.argmax())
    return Mistake(
        index,
        evaluation.files[index],
        true,
        predicted,
        float(answer[predicted]),
        float(answer[true]),
    )
