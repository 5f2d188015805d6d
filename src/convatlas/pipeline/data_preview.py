"""Looking at data before a job: opened as `fit` opens them, and samples as a picture."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from convatlas.data.dataset import Dataset
from convatlas.errors import UsageError
from convatlas.explain.contact_sheet import contact_sheet
from convatlas.progress import Progress, Silent
from convatlas.tasks import find_task, recognise_task
from convatlas.tasks.task import AnyTask
from convatlas.text import printable

MAX_DRAWN = 400  # of a picture
MAX_AUGMENTED = 1024


def open_source(
    source: str | Path,
    task: str | None = None,
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[AnyTask, Dataset]:
    """Open data as `fit` does, and return them with their task.

    Args:
        task: by its name; the one that the data look like where not given.
        options: of the task.

    Raises:
        DataError: the data cannot be used.
        UsageError: there is no such option, or the data suit several tasks.
    """
    found = recognise_task(source) if task is None else find_task(task)
    found.check_options(options or {})
    bar = (progress or Silent()).bar("checking files", unit="files")
    data = found.open(
        source, seed=seed, max_broken=max_broken, options=options or {}, progress=bar.update
    )
    bar.close()
    return found, data


def preview_samples(
    task: AnyTask,
    data: Dataset,
    split: str = "train",
    count: int = 16,
    seed: int = 0,
    *,
    augmented: int | None = None,
) -> Image.Image:
    """Draw random samples of a split with their answers, in rows.

    Args:
        seed: of the choice, and of the augmentation.
        augmented: an input size in pixels: samples are drawn as a network of that size gets them
            in training.

    Raises:
        DataError: a sample cannot be read.
        UsageError: the data have no such split, or the task draws no pictures.
    """
    if split not in data.splits:
        raise UsageError(f"data: split must be one of {', '.join(data.splits)}, got '{split}'")
    if not 1 <= count <= MAX_DRAWN:
        raise UsageError(f"data: count must be from 1 to {MAX_DRAWN}, got {count}")
    part = data.splits[split]
    places = sorted(random.Random(seed).sample(range(len(part)), min(count, len(part))))
    if augmented is not None:
        if not 1 <= augmented <= MAX_AUGMENTED:
            raise UsageError(f"--augmented must be from 1 to {MAX_AUGMENTED} px, got {augmented}")
        drawn = task.augmented_previews(data, split, places, augmented, seed)
        if drawn is None:
            raise UsageError(
                f"data preview: the task {task.name} draws no augmented samples; leave out "
                "--augmented"
            )
        return contact_sheet([(part.files[p], s) for p, s in zip(places, drawn, strict=True)])
    samples = []
    for place in places:
        sample = task.preview(data, split, place)
        if sample is None:
            raise UsageError(f"data preview: the task {task.name} draws no pictures")
        samples.append((part.files[place], sample))
    return contact_sheet(samples)


def save_picture(picture: Image.Image, path: Path, *, force: bool = False) -> None:
    """Write a picture as PNG; nothing is replaced unasked.

    Raises:
        UsageError: the name is none of a PNG file, or the file is there already.
        WriteError: it cannot be written.
    """
    from convatlas.replacing import replacing

    check_picture_path(path, force=force)
    with replacing(path) as fresh:
        picture.save(fresh, "PNG")


def check_picture_path(path: Path, *, force: bool) -> None:
    """Refuse, before any work, where a picture cannot be written.

    Raises:
        UsageError: the name is none of a PNG file, or the file is there already.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"data preview: --out must end in .png, got {printable(path.name)}")
    if path.exists() and not force:
        raise UsageError(f"{printable(path)} is there already; --force replaces it")
