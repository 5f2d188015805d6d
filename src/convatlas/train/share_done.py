"""How far a run is, by steps or by time, whichever is further."""

from torch import Tensor

from convatlas.train.run import Run
from convatlas.train.task import VALIDATED
from convatlas.train.update_bn import BATCHES as STATISTICS

STEPS_BETWEEN_REPORTS = 10
VALIDATION_BATCH = 4  # times the batch of a step, as tasks validate without gradients
MIN_STEP_FRACTION = 0.3  # steps get at least this fraction of the time, whatever validation takes


def count_step(run: Run, loss: Tensor) -> None:
    """Take a step into account, and show it now and then."""
    state, result, limit_s = run.state, run.state.result, run.options.limit_s
    result.steps += 1
    state.place += 1
    result.epochs = result.steps / len(run.batches)
    result.seconds = run.seconds
    state.done = result.steps / run.total_steps
    if limit_s is not None:
        state.done = max(state.done, result.seconds / _seconds_of_steps(run, limit_s))
    if result.steps % STEPS_BETWEEN_REPORTS == 0:
        run.bar.update(min(1.0, state.done), note=_note(run, loss))
    if state.done >= 1:
        result.ended = "epochs" if result.steps >= run.total_steps else "time"


def _seconds_of_steps(run: Run, limit_s: float) -> float:
    """Return the time within a limit that the last validation leaves."""
    state, result = run.state, run.state.result
    if not state.best.figures:  # a forward pass is about a third of a step
        batches = len(run.batches)
        passes = len(run.validation) * VALIDATION_BATCH + min(STATISTICS, batches)
        stepping = result.seconds - run.fastest_way.measuring_s
        state.closing_s = passes * stepping / result.steps / 3
    return max(MIN_STEP_FRACTION * limit_s, limit_s - state.closing_s)


def _note(run: Run, loss: Tensor) -> str:
    result, metric = run.state.result, run.task.metric
    epoch = run.options.epochs_before + result.epochs
    rate = result.steps * run.recipe.batch_size / result.seconds
    value = result.figures.get(VALIDATED + metric.key)
    reached = f", val {metric.text(value)}" if value is not None else ""
    return f"epoch {epoch:.1f}, {rate:.0f} items/s, loss {loss.item():.3f}{reached}"
