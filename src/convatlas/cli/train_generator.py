"""`train` for a generator that is trained against its discriminator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convatlas.cli.options import typed
from convatlas.cli.output import note, print_json, say
from convatlas.errors import UsageError
from convatlas.models.registry import find_entry, model_names
from convatlas.text import printable


def is_generator(word: str) -> bool:
    """Return whether a word names a network that is trained against a discriminator."""
    from convatlas.pipeline.train_generator import TASK

    return word in model_names() and find_entry(word).task == TASK


def train_generator_command(
    name: str,
    data: str,
    settings: Sequence[str],
    named: dict[str, Any],
    *,
    refused: dict[str, Any],
    as_json: bool,
    **rest: Any,
) -> None:
    """Train, and print where drawn images and report lie.

    Args:
        settings: `NAME=VALUE`, of training or network.
        named: options that the verb has names for.
        refused: options of the verb that say nothing here, where they are given.

    Raises:
        UsageError: an option that cannot be used.
    """
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.train_generator import generator_options, train_generator

    for option, value in refused.items():
        if value:
            raise UsageError(f"--{option}: {name} is trained without")
    known, options = generator_options(name), {k: v for k, v in named.items() if v is not None}
    for text in settings:
        option, sign, value = text.partition("=")
        if not (option and sign and value):
            raise UsageError(f"--set must be NAME=VALUE, got '{text}'")
        options[option] = typed(option, value, known.get(option))
    run, files = train_generator(name, data, options=options, progress=progress_on_stderr(), **rest)
    if as_json:
        about = {"run": files["report"].parent, "model": name, "task": "gan", "ended": run.ended}
        print_json({**about, "figures": run.figures, "warnings": run.warnings, "files": files})
        return
    say(run.words())
    say(f"drawn images: {printable(files['sheet'])}; report: {printable(files['report'])}")
    for warning in run.warnings:
        note(f"warning: {warning}")


def sample_generator(
    folder: Path, count: int, seed: int, out: Path, *, force: bool, as_json: bool
) -> None:
    """Write drawn images as PNG files and one sheet of all."""
    from convatlas.cli.voice_files import check_free
    from convatlas.explain.pixels.save_drawn import drawn_paths, save_drawn
    from convatlas.pipeline.generator_run import as_rows, open_generator

    run, generator = open_generator(folder)
    paths = [*drawn_paths(out, count), out / "sheet.png"]
    if not force:
        check_free(paths)
    drawer: Any = generator
    save_drawn(as_rows(drawer.draw(count, seed=seed)), paths)
    if as_json:
        files = {"images": paths[:-1], "sheet": paths[-1]}
        print_json({"run": folder, "model": run.model, "task": "gan", "seed": seed, "files": files})
        return
    say(f"{count:,} images in {printable(out)}; all of them in {printable(paths[-1])}")
    for warning in run.warnings:
        note(f"warning: {warning}")
