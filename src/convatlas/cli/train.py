"""The verb `train`: one network by a recipe, in full control."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.fit_result import end_with
from convatlas.cli.numbers import seconds_option
from convatlas.cli.options import task_options, typed
from convatlas.cli.output import note
from convatlas.cli.train_generator import is_generator, train_generator_command
from convatlas.errors import UsageError
from convatlas.launched import alone_only, process_number

if TYPE_CHECKING:
    from convatlas.train.recipe_file import NamedRecipe

RECIPE_HELP = (
    "A recipe of the package (resnet_cifar, wide_resnet, ...), a YAML file, or a network, which is "
    "then trained as `fit` does."
)
SET_HELP = "An option of training, network or task, such as lr=0.1; may be repeated."


def train_command(
    recipe: str = typer.Argument(help=RECIPE_HELP, metavar="RECIPE|NAME|FILE.yaml"),
    data: str = typer.Argument(help="Labelled data as for `fit`.", metavar="DATA"),
    settings: list[str] = typer.Option([], "--set", help=SET_HELP, metavar="NAME=VALUE"),
    epochs: float | None = typer.Option(None, help="Passes over the training data.", metavar="N"),
    seed: int | None = typer.Option(None, help="Of split, weights and augmentation."),
    task: str | None = typer.Option(None, help="What the network is for.", metavar="TASK"),
    pretrained: bool = typer.Option(
        False, "--pretrained", help="Start from public weights, downloaded if needed."
    ),
    teacher: str | None = typer.Option(
        None, help="Learn a trained network's softened answers as well.", metavar="RUN|NAME"
    ),
    temperature: float = typer.Option(4.0, help="Of the teacher's answers.", metavar="T"),
    soft_fraction: float = typer.Option(
        0.9, "--soft-fraction", help="Share of the loss that is the teacher's.", metavar="X"
    ),
    device: str = typer.Option("auto", help="As for `fit`.", metavar="auto|cpu|cuda[:N]|mps"),
    workers: int | None = typer.Option(None, help="Threads that read files.", metavar="N"),
    max_broken: float = typer.Option(0.05, help="Maximum fraction of unreadable files to skip."),
    checkpoint_every: float = seconds_option(
        "--checkpoint-every", help="At most between two checkpoints, e.g. 5m.", default=300.0
    ),
    out: Path | None = typer.Option(None, help="The folder to write the run to.", metavar="DIR"),
    force: bool = typer.Option(False, "--force", help="Replace the run that is in DIR."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Train one network by a recipe, exactly as the recipe says."""
    from convatlas.cli.main import STARTED
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.train_one import train_one

    named = {"epochs": epochs, "seed": seed}
    if is_generator(recipe):
        alone_only(f"training {recipe} against its discriminator")
        rest = {"out": out, "force": force, "max_broken": max_broken, "device": device}
        refused = {"task": task, "pretrained": pretrained, "teacher": teacher}
        return train_generator_command(
            recipe, data, settings, named, refused=refused, as_json=as_json, **rest
        )
    chosen = chosen_recipe(recipe, settings, named)
    if not process_number():
        note(about(chosen))
    run = train_one(
        chosen,
        data,
        task=task,
        pretrained=pretrained,
        teacher=teacher,
        temperature=temperature,
        soft_fraction=soft_fraction,
        out=out,
        force=force,
        max_broken=max_broken,
        device=device,
        workers=workers,
        checkpoint_every_s=checkpoint_every,
        progress=progress_on_stderr(),
        started=STARTED,
    )
    end_with(run, as_json=as_json)


def chosen_recipe(
    word: str, texts: Sequence[str], named: dict[str, float | int | None]
) -> "NamedRecipe":
    """Return the recipe of a word with what `--set` and options of their own change.

    Raises:
        UsageError: no such recipe or option, or one is given twice.
    """
    from convatlas.pipeline.training_plan import find_recipe, options_of, with_options

    recipe = find_recipe(word)
    known = options_of(recipe)
    given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise UsageError(f"--set must be NAME=VALUE, got '{text}'")
        if name in given:
            raise UsageError(f"option '{name}' is given twice")
        given[name] = typed(name, value, known[name]) if name in known else _of_task(text)
    return with_options(recipe, given)


def about(recipe: "NamedRecipe") -> str:
    """Return in a line what will be trained, and how."""
    training = recipe.training
    source = f" ({recipe.source})" if recipe.source else ""
    return (
        f"{recipe.name}{source}: {recipe.network}, {training.optimizer}, rate {training.lr:g} "
        f"({training.schedule}), batches of {training.batch_size}, {training.epochs:g} epochs"
    )


def _of_task(text: str) -> Any:
    return next(iter(task_options([text]).values()))
