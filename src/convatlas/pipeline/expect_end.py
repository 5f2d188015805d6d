"""When a job will end, as far as it can be told before training: said where the limit is missed."""

from convatlas.deadline import Deadline, slowdown
from convatlas.pipeline.trials import LiveTrial, TrialRunner

USUAL_TEST = 0.05  # of the limit, which the time that is kept for what follows training includes
TOLERANCE = 0.1  # of the limit: an end so much later is said beforehand
BUSY = 1.2  # times slower than alone, from which other programs are named as a cause


def expect_end(runner: TrialRunner, trials: list[LiveTrial], deadline: Deadline) -> None:
    """Keep time for testing a slow network, and say beforehand where the limit will not hold."""
    count = len(runner.data.splits["test"])
    slowest = max(runner.answer_seconds(e, count) for e in trials)
    deadline.test_s = max(0.0, slowest - USUAL_TEST * deadline.seconds)
    costs = [e.counted.cost for e in trials if e.counted.cost is not None]
    deadline.expect_export(max((len(cost.layers) for cost in costs), default=0))
    deadline.slowdown = (deadline.slowdown + slowdown()) / 2  # two looks tell less of chance
    if deadline.late() > TOLERANCE * deadline.seconds:
        causes = [f"{deadline.spent():.0f} s have passed before training"]
        if deadline.slowdown > BUSY:
            causes.append(f"other programs slow this one down {deadline.slowdown:.1f} times")
        if deadline.test_s:
            items = runner.task.items
            causes.append(f"answering {count:,} test {items} takes about {slowest:.0f} s")
        runner.progress.say(
            f"the limit of {deadline.seconds:.0f} s cannot be met, the job takes about "
            f"{deadline.seconds + deadline.late():.0f} s: {', '.join(causes)}"
        )
