"""The verb `lr-find`: the learning rate to train with, and the picture that shows why."""

from collections.abc import Sequence
from pathlib import Path

import typer

from convatlas.cli.output import note, print_json, say
from convatlas.cli.train import RECIPE_HELP, SET_HELP, about, chosen_recipe
from convatlas.errors import UsageError
from convatlas.text import printable, shell_word


def lr_find_command(
    recipe: str = typer.Argument(help=RECIPE_HELP, metavar="RECIPE|NAME|FILE.yaml"),
    data: str = typer.Argument(help="Labelled data as for `fit`.", metavar="DATA"),
    settings: list[str] = typer.Option([], "--set", help=SET_HELP, metavar="NAME=VALUE"),
    lowest: float = typer.Option(1e-6, help="The first rate.", metavar="X"),
    highest: float = typer.Option(10.0, help="The last rate.", metavar="X"),
    steps: int = typer.Option(100, help="From the first to the last.", min=30, metavar="N"),
    task: str | None = typer.Option(None, help="What the network is for.", metavar="TASK"),
    pretrained: bool = typer.Option(
        False, "--pretrained", help="Start from public weights, downloaded if needed."
    ),
    device: str = typer.Option("auto", help="As for `fit`.", metavar="auto|cpu|cuda[:N]|mps"),
    workers: int | None = typer.Option(None, help="Threads that read files.", metavar="N"),
    max_broken: float = typer.Option(0.05, help="Maximum fraction of unreadable files to skip."),
    out: Path = typer.Option(Path("lr_find.png"), help="The picture.", metavar="FILE.png"),
    force: bool = typer.Option(False, "--force", help="Replace the picture."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Find the learning rate to train with, and draw the loss against it."""
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.find_rate import draw_rates, find_rate, network_words

    _check(out, lowest, highest, force=force)
    chosen = chosen_recipe(recipe, settings, {})
    note(about(chosen))
    found = find_rate(
        chosen,
        data,
        task=task,
        lowest=lowest,
        highest=highest,
        steps=steps,
        pretrained=pretrained,
        max_broken=max_broken,
        device=device,
        workers=workers,
        progress=progress_on_stderr(),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(draw_rates(found, chosen.training.lr, network_words(chosen)))
    if as_json:
        print_json(
            {
                "network": chosen.network,
                "suggested": found.suggested,
                "steepest": found.steepest,
                "rises": found.rises,
                "recipe": chosen.training.lr,
                "diverged": found.diverged,
                "rates": found.rates,
                "losses": found.losses,
                "picture": str(out),
            }
        )
        return
    say(f"rate to train with: {found.suggested:.2g} (the recipe's: {chosen.training.lr:.2g})")
    say(f"the loss falls fastest at {found.steepest:.2g} and rises at {found.rises:.2g}")
    if found.rises == found.rates[-1]:
        say(f"no rate up to {highest:g} was too large: --highest tries larger ones")
    say(f"picture: {printable(out)}")
    say(train_line(recipe, data, settings, found.suggested))


def train_line(recipe: str, data: str, settings: Sequence[str], rate: float) -> str:
    """Return the command that trains as was asked here, with another rate."""
    kept = [part for each in settings if not each.startswith("lr=") for part in ("--set", each)]
    words = " ".join(shell_word(word) for word in (recipe, data, *kept))
    return f"convatlas train {words} --set lr={rate:.2g}"


def _check(out: Path, lowest: float, highest: float, *, force: bool) -> None:
    if not 0 < lowest < highest:
        raise UsageError(
            f"--lowest must be above 0 and under --highest, got {lowest} and {highest}"
        )
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png, got '{printable(out)}'")
    if out.exists() and not force:
        raise UsageError(f"{printable(out)} is there already: --force replaces it")
