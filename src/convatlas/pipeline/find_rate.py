"""`lr-find`: at which learning rates a network learns these data, in a hundred steps."""

import io
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from convatlas.data.threads import reading_threads
from convatlas.deadline import Deadline
from convatlas.models.registry import find_entry
from convatlas.pipeline.opening import open_data
from convatlas.pipeline.train_one import NO_LIMIT_S, counted_form
from convatlas.pipeline.training_plan import task_of
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.pipeline.waiting_trial import waiting_trial
from convatlas.progress import Progress, Silent
from convatlas.tasks import find_task
from convatlas.train.device import usable_precision, using_device
from convatlas.train.rate_range import RateRange, rate_range
from convatlas.train.recipe_file import NamedRecipe
from convatlas.train.stop import Stoppable, StopRequest

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def find_rate(
    recipe: NamedRecipe,
    data: str | Path,
    *,
    task: str | None = None,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    pretrained: bool = False,
    max_broken: float = 0.05,
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> RateRange:
    """Train the network of a recipe for a few steps while its rate climbs.

    Nothing is written; arguments as for `train_one` and `rate_range`.

    Raises:
        DataError: the data cannot be used.
        UsageError: an option cannot be used, or the network does not take such inputs.
        WeightsError: public weights were asked for and cannot be had.
        ConvatlasError: the loss is no number from the start.
    """
    training, progress = recipe.training, progress or Silent()
    usable_precision(training.precision)
    chosen = task_of(recipe.network) if task is None else find_task(task)
    chosen.check_options(dict(recipe.data))
    with StopRequest() as stop, ExitStack() as held:
        held.enter_context(using_device(device))
        held.enter_context(reading_threads(workers, progress.say))
        stop.again = "leave at once"
        early = Stoppable(progress, stop)
        opened = open_data(
            chosen,
            data,
            seed=training.seed,
            max_broken=max_broken,
            options=dict(recipe.data),
            progress=early,
            deadline=Deadline(NO_LIMIT_S),
        )
        counted = counted_form(recipe, chosen, opened, pretrained, early)
        runner = TrialRunner(chosen, opened, training, stop, early, dict(recipe.data))
        trial = LiveTrial(counted, waiting_trial(chosen, counted))
        runner.read_data([trial])
        form = trial.counted.candidate
        return rate_range(
            runner.build(trial),
            runner.trial_data.training(form, training, len(opened.splits["val"])),
            training,
            lowest=lowest,
            highest=highest,
            steps=steps,
            stop=stop,
            progress=progress,
        )


def draw_rates(found: RateRange, rate: float, title: str) -> bytes:
    """Draw the loss against the rate, as PNG.

    Args:
        rate: the recipe's, drawn beside the suggested one.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained", facecolor="white")
    _draw(figure.subplots(), found, rate, title)
    page = io.BytesIO()
    figure.savefig(page, format="png", dpi=150)
    return page.getvalue()


def _draw(axes: "Axes", found: RateRange, rate: float, title: str) -> None:
    axes.plot(found.rates, found.losses, ".", color="#b8bfc8", label="a batch")
    axes.plot(found.rates, found.smooth, color="#2e5c8a", label="mean of nine")
    axes.axvline(found.suggested, color="#2a9d5c", label=f"suggested {found.suggested:.2g}")
    axes.axvline(rate, color="#d1495b", linestyle=":", label=f"recipe {rate:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title=title)
    smooth = found.smooth
    low, start = min(smooth), smooth[0]
    axes.set_ylim(low - 0.2 * (start - low + 1e-3), start + 1.2 * (start - low + 1e-3))
    axes.legend(frameon=False)


def network_words(recipe: NamedRecipe) -> str:
    """Return what a recipe trains and how, as the title of a picture."""
    entry, training = find_entry(recipe.network), recipe.training
    return f"{entry.name}, {training.optimizer}, batches of {training.batch_size}"
