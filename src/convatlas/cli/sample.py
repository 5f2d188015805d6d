"""The verb `sample`: new images, or the rest of a given one, as PNG files and one sheet; texts."""

from pathlib import Path

import typer

from convatlas.cli.output import note, print_json, say
from convatlas.cli.voice_files import check_free
from convatlas.errors import UsageError, nearest
from convatlas.text import printable, printable_few

TASK = "generate"
SHEET = "sheet.png"
MAX_COUNT = 10_000
ROW = 8  # images beside each other on the sheet


def sample_command(
    run: Path = typer.Argument(
        help="A run folder of the task `generate` or `language`.", metavar="RUN"
    ),
    count: int = typer.Option(16, help="How many images or texts to draw.", min=1, max=MAX_COUNT),
    label: str | None = typer.Option(
        None,
        "--class",
        help="Draw images of this class only, where the run learned with classes.",
        metavar="NAME",
    ),
    complete: Path | None = typer.Option(
        None, help="Keep the upper part of this image and draw the rest.", metavar="FILE"
    ),
    keep: float = typer.Option(0.5, help="Which part of its height to keep.", min=0.0, max=1.0),
    start: str = typer.Option("", help="How a text begins.", metavar="TEXT"),
    length: int = typer.Option(200, help="Symbols of a text at most.", min=1, max=MAX_COUNT),
    temperature: float = typer.Option(
        1.0, help="Below 1 likelier symbols of a text; 0 takes the likeliest.", min=0.0, max=10.0
    ),
    seed: int = typer.Option(0, help="The same seed draws the same images or texts."),
    out: Path = typer.Option(
        Path("samples"), help="The folder to write the images to.", metavar="DIR"
    ),
    force: bool = typer.Option(False, "--force", help="Replace images that are there already."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Draw new images, or the rest of a given one, as PNG files.

    Beside them stands a sheet of all. A language model prints texts, a line each.

    A run that learned with classes draws of each in turn, or of the one that is asked for. With
    --complete the upper part of a given image is kept; the sheet begins with it and its kept part.
    """
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.cli.sample_texts import sample_texts
    from convatlas.cli.train_generator import sample_generator
    from convatlas.data.pixels.pixel_data import read_given
    from convatlas.deploy.language_model import LanguageModel
    from convatlas.deploy.pixel_model import PixelModel
    from convatlas.explain.pixels.save_drawn import drawn_paths, save_drawn
    from convatlas.explain.pixels.sheet import half_known
    from convatlas.pipeline.generator_run import holds_generator
    from convatlas.pipeline.run import open_run

    if holds_generator(run):
        return sample_generator(run, count, seed, out, force=force, as_json=as_json)
    opened = open_run(run)
    model = opened.predictor()
    if isinstance(model, LanguageModel):
        return sample_texts(
            opened,
            model,
            count=count,
            start=start,
            length=length,
            temperature=temperature,
            seed=seed,
            as_json=as_json,
        )
    if not isinstance(model, PixelModel):
        raise UsageError(
            f"sample: {printable(run)} is a run of the task {opened.config.task}; images are drawn "
            f"by a run of the task {TASK}, texts by one of the task language"
        )
    labels = _labels(label, model.facts.classes if model.facts.told else [], count)
    paths = [*drawn_paths(out, count), out / SHEET]
    if not force:
        check_free(paths)
    given = known = None
    first = []
    if complete is not None:
        given = read_given(complete, model.facts).expand(count, -1, -1, -1)
        known, shown = half_known(given, keep)
        first = [given[0], shown[0]]
    progress = progress_on_stderr()
    bar = progress.bar("drawing", model.facts.height, unit="rows")
    images = model.draw(
        count,
        labels=labels,
        given=given,
        known=known,
        seed=seed,
        done=lambda rows, total: bar.update(rows, total),
    )
    bar.close()
    save_drawn(images, paths, first, columns=ROW)
    if as_json:
        names = None if labels is None else [model.facts.classes[place] for place in labels]
        files = {"images": paths[:-1], "sheet": paths[-1]}
        about = {"run": run, "model": opened.config.model, "task": TASK, "seed": seed}
        print_json({**about, "classes": names, "files": files})
        return
    say(f"{count:,} images in {printable(out)}; all of them in {printable(paths[-1])}")
    for doubt in opened.doubts:
        note(f"warning: {doubt}")


def _labels(label: str | None, classes: list[str], count: int) -> list[int] | None:
    """Return the class of each image: the one asked for, or each in turn."""
    if not classes:
        if label is not None:
            raise UsageError(
                "--class: the run learned without classes; fit with --set by_class=true learns "
                "with them"
            )
        return None
    if label is None:
        return [place % len(classes) for place in range(count)]
    if label not in classes:
        raise UsageError(
            f"--class: no class '{printable(label)}'{nearest(label, classes)}; there are "
            f"{printable_few(classes, 20)}"
        )
    return [classes.index(label)] * count
