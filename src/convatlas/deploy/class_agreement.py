"""How far two classifiers agree: the most probable class, and every probability."""

from torch import Tensor

from convatlas.deploy.predictor import Agreement


def compare_probabilities(expected: Tensor, answered: Tensor, tolerance: float) -> Agreement:
    """Compare probabilities and the most probable class.

    Where the expected answer itself is tied within the tolerance, either class will do.

    Shape: both (n, classes)
    """
    difference = (expected - answered).abs().max().item()
    chosen = answered.argmax(dim=1, keepdim=True)
    short = expected.max(dim=1).values - expected.gather(1, chosen)[:, 0]
    same = (answered.argmax(dim=1) == expected.argmax(dim=1)) | (short <= tolerance)
    return Agreement(same.double().mean().item(), difference)
