"""`train dcgan`: a generator against its discriminator, on a folder of images."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from convatlas.data.images.stored_reading import Reading
from convatlas.data.pixels.open_pixels import open_pixels
from convatlas.data.pixels.pixel_data import PixelSplit
from convatlas.errors import UsageError, nearest
from convatlas.models.generate.dcgan import SIZES, DCGANDiscriminator
from convatlas.models.registry import find_entry
from convatlas.pipeline.generator_run import NOTES, GeneratorRun
from convatlas.progress import Progress, Silent
from convatlas.text import printable
from convatlas.train.adversarial import train_adversarial
from convatlas.train.adversarial_recipe import AdversarialRecipe
from convatlas.train.device import using_device
from convatlas.train.stop import StopRequest

TASK = "gan"
SHARED = ("width", "size", "kernel", "in_channels")  # options of the discriminator as well


def generator_options(name: str) -> dict[str, Any]:
    """Return the options of training and network with their values, by name."""
    recipe = {each.name: each.default for each in fields(AdversarialRecipe)}
    return {**find_entry(name).defaults, **recipe}


def train_generator(
    name: str,
    data: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    force: bool = False,
    max_broken: float = 0.05,
    device: str = "auto",
    progress: Progress | None = None,
) -> tuple[GeneratorRun, dict[str, Path]]:
    """Train a generator and write its folder: weights, log, sheet of drawn images, report.

    The images of all splits are trained on, resized to the side that the network makes.

    Args:
        name: of a network of the task `gan`.
        data: images, with classes or without.
        options: of training (`AdversarialRecipe`) and of the network, over its own.
        out: the folder; None makes `runs/<name of the data>-<name>`.
        force: replace a generator that the folder holds.

    Raises:
        DataError: the images cannot be used, or are fewer than a batch.
        UsageError: an option that none has, or a folder that holds something else.
    """
    progress, given = progress or Silent(), dict(options or {})
    _check(name, given)
    trained = {each.name for each in fields(AdversarialRecipe)}
    recipe = AdversarialRecipe(**{key: given.pop(key) for key in [*given] if key in trained})
    folder = Path(out) if out is not None else Path("runs") / f"{Path(data).stem}-{name}"
    _check_folder(folder, force)
    size = given.get("size", find_entry(name).defaults["size"])
    if size not in SIZES:
        raise UsageError(f"size must be one of {', '.join(map(str, SIZES))}, got {size!r}")
    bar = progress.bar("checking files", unit="files")
    opened = open_pixels(
        data,
        seed=recipe.seed,
        max_broken=max_broken,
        size=size,
        reading=Reading(),
        progress=bar.update,
    )
    bar.close()
    for line in opened.scan.warnings():
        progress.say(line)
    built = {**given, "size": size, "in_channels": opened.facts_.channels}
    images = torch.cat([_stacked(split, progress) for split in opened.splits.values()])
    torch.manual_seed(recipe.seed)
    generator = find_entry(name).build(**built)
    shared = {**find_entry(name).defaults, **built}
    judge = DCGANDiscriminator(**{key: shared[key] for key in SHARED})
    with StopRequest() as stop, using_device(device):
        result = train_adversarial(
            generator, judge, images, recipe, folder=folder, stop=stop, progress=progress
        )
    run = GeneratorRun(
        name, built, asdict(recipe), opened.source, len(images), **_outcome(asdict(result))
    )
    return run, run.save(folder, generator)


def _outcome(result: dict[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(GeneratorRun)}
    return {key: value for key, value in result.items() if key in names}


def _check(name: str, given: Mapping[str, Any]) -> None:
    """Refuse options that neither training nor the network has."""
    known = generator_options(name)
    for option in given:
        if option not in known:
            raise UsageError(f"{name}: no option '{option}'{nearest(option, known)}")
    if "in_channels" in given:
        raise UsageError(f"{name}: in_channels is what the images have")


def _check_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that holds something else, or a generator that is not to be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / NOTES).is_file()):
        raise UsageError(f"--out {printable(folder)}: holds something else; choose another folder")
    if (folder / NOTES).is_file() and not force:
        raise UsageError(
            f"--out {printable(folder)}: already has a generator; choose another folder, or "
            "replace it with --force"
        )


def _stacked(split: PixelSplit, progress: Progress) -> torch.Tensor:
    """Read all images of a split. Shape: -> uint8 (n, c, h, w)"""
    bar = progress.bar("reading images", len(split), unit="images")
    images = []
    for place in range(len(split)):
        images.append(split.read(place))
        bar.update(place + 1)
    bar.close()
    return torch.stack(images)
