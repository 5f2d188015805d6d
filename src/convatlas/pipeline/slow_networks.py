"""What a round holds for a network that is slow against its time.

A step, and the validation after the last one, cannot be cut short once they have begun. Where they
would take most of the time by themselves, steps get fewer examples and validation asks a part of
its examples, so that the limit holds and the network still learns.
"""

MIN_STEPS = 20  # of a round, below which its batches get smaller
MIN_BATCH = 4  # examples
VALIDATION_FRACTION = 0.25  # of a round, above which validation asks a part of its examples
MIN_VALIDATED = 32  # examples
FORWARD_FRACTION = 1 / 3  # of a training step, that an answer takes


def batch_within(batch: int, seconds: float, step_s: float) -> int:
    """Return the examples of a step so that a round has enough steps.

    Args:
        batch: the recipe's, which is never exceeded.
        seconds: of the round.
        step_s: seconds of a training step for each of its examples.
    """
    fitting = int(seconds / (MIN_STEPS * step_s))
    return min(batch, max(MIN_BATCH, fitting))


def validated_within(total: int, seconds: float, step_s: float) -> int:
    """Return how many of the validation examples a round has time for.

    Args:
        total: examples of the validation split.
        seconds: of the round.
        step_s: seconds of a training step for each of its examples.
    """
    fitting = int(VALIDATION_FRACTION * seconds / (FORWARD_FRACTION * step_s))
    return min(total, max(MIN_VALIDATED, fitting))
