"""Images in, the same images out after they went through a few numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convatlas.data.images.statistics import image_statistics
from convatlas.data.images.stored_reading import OPTIONS as READING
from convatlas.data.images.stored_split import learnt_from
from convatlas.data.pixels.latent_facts import (
    MAX_LATENT,
    LatentFacts,
    pixels_and_latent,
    with_latent,
)
from convatlas.data.pixels.open_pixels import (
    LAYOUTS,
    open_pixels,
    open_pixels_test,
    reopen_pixels,
)
from convatlas.data.pixels.pixel_data import PixelData, PixelSplit
from convatlas.data.statistics import Statistics
from convatlas.deploy.reconstructor import Reconstructor
from convatlas.errors import UsageError
from convatlas.explain.contact_sheet import Sample
from convatlas.explain.pictures import to_pil
from convatlas.explain.reconstructions.evaluation import (
    ReconstructionEvaluation,
    evaluate_reconstructions,
    to_bytes,
)
from convatlas.explain.reconstructions.prediction import COLUMNS, CSV_COLUMNS, Reconstruction
from convatlas.explain.reconstructions.principal import image_vectors
from convatlas.models.registry import Entry
from convatlas.search.space import width_sweeps
from convatlas.tasks.class_task import check_names
from convatlas.tasks.images import listed_images, reading_of, with_reading
from convatlas.tasks.onnx_reconstruct_snippet import reconstruct_runtime_code
from convatlas.tasks.pixel_answers import read_asked
from convatlas.tasks.pixel_options import check_size, is_whole
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.reconstructions import show_reconstructions
from convatlas.tasks.task import Task
from convatlas.tasks.trial_reconstruct import TrialReconstruct
from convatlas.text import printable_few
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.reconstruct import MSE, image_errors

RECIPE = Recipe(lr=3e-3, weight_decay=0.01, batch_size=64)
LATENT = 32  # numbers that an image is written as, unless the user says otherwise


class ReconstructImages(Task[PixelData, ReconstructionEvaluation]):
    """Write images as a few numbers, and draw them again from those."""

    name = "reconstruct"
    metric = MSE
    items = "images"
    layouts = tuple(f"{layout}, with --task reconstruct" for layout in LAYOUTS)
    columns = COLUMNS
    right = ("MSE", "PSNR")
    next = "photo.png"
    asking = "Give images back, and find odd ones"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return False  # any images would do: it must be asked for

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_names(options, (*READING, "size", "latent"))
        reading_of(options)
        check_size(options)
        latent = options.get("latent", LATENT)
        if not is_whole(latent, 1, MAX_LATENT):
            raise UsageError(
                f"latent must be a whole number from 1 to {MAX_LATENT}, got {latent!r}"
            )

    def open(self, source, *, seed, max_broken, options, progress) -> PixelData:
        size = options.get("size")
        data = open_pixels(
            source,
            seed=seed,
            max_broken=max_broken,
            size=None if size is None else int(size),
            reading=reading_of(options),
            progress=progress,
        )
        return with_latent(data, int(options.get("latent", LATENT)))

    def open_test(self, source, facts, *, max_broken, progress) -> PixelData:
        pixels, latent = pixels_and_latent(facts)
        data = open_pixels_test(source, pixels, max_broken=max_broken, progress=progress)
        return with_latent(data, latent)

    def reopen(self, stored, source, facts) -> PixelData:
        pixels, latent = pixels_and_latent(facts)
        return with_latent(reopen_pixels(stored, source, pixels), latent)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_from(stored)

    def with_options(self, facts, options) -> dict[str, Any]:
        return with_reading(facts, options)

    def check(self, facts, settings, run) -> None:
        known = LatentFacts.model_validate(facts)
        if settings:
            raise ValueError(f"settings must be empty, got {sorted(settings)}")
        for option, value in _options(known).items():
            given = run.options.get(option, value)
            if (list(given) if isinstance(given, tuple) else given) != value:
                raise ValueError(f"options: {option} is {given}, not {value}")

    def fresh(self, entries: Sequence[Entry], data: PixelData, *, fixed_width: bool):
        known = _known(data)
        forms = [({"height": known.height, "width": known.width}, {})]
        return {
            e.name: width_sweeps(e, options=_options(known), forms=forms, fixed_width=fixed_width)
            for e in entries
        }

    def pretrained(self, checkpoints, data):
        raise UsageError("there are no public weights for the task reconstruct")

    def input_words(self, example) -> str:
        return f"{example['width']} x {example['height']} px"

    def trial_data(self, data: PixelData, recipe, options, progress) -> TrialReconstruct:
        return TrialReconstruct(data, progress)

    def settings(self, candidate, facts) -> dict[str, Any]:
        return {}

    def predictor(self, network: nn.Module, settings, facts) -> Reconstructor:
        return Reconstructor(network, LatentFacts.model_validate(facts))

    def sample(self, split: PixelSplit, count: int) -> list[Any]:
        return split.spaced(count)

    def predict(self, predictor, asked, facts, progress):
        total, listed = listed_images(asked, progress)
        batches = read_asked(listed, LatentFacts.model_validate(facts))
        return total, (each for batch in batches for each in _answers(predictor, batch))

    def evaluate(self, predictor, split: PixelSplit, facts, progress) -> ReconstructionEvaluation:
        assert isinstance(predictor, Reconstructor)
        return evaluate_reconstructions(predictor, split, progress, self.items)

    def csv_columns(self, top: int) -> list[str]:
        return list(CSV_COLUMNS)

    def describe_facts(self, facts) -> list[tuple[str, str]]:
        if not facts["classes"]:
            return []
        return [("classes", f"{len(facts['classes']):,}: {printable_few(facts['classes'], 5)}")]

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        known = LatentFacts.model_validate(facts)
        size = f"{known.width} x {known.height} pixels"
        return [
            ("images", f"resized to {size}" if known.resized else f"{size}, others are refused"),
            ("values", "from 0 to 1"),
            ("an image is written as", f"{known.latent:,} of {known.dimensions:,} numbers"),
        ]

    def show(self, evaluation: ReconstructionEvaluation, data: PixelData, scan) -> ReportContent:
        return show_reconstructions(evaluation, data)

    def statistics(
        self, data: PixelData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        return image_statistics(data.splits[split].images, progress)

    def preview(self, data: PixelData, split: str, place: int) -> Sample:
        part, classes = data.splits[split], data.facts_.classes
        words = [(classes[part.labels[place]], None)] if classes else []
        return Sample(to_pil(part.read(place)), words)

    def runtime_code(self, path: Path, run) -> str:
        return reconstruct_runtime_code(path, LatentFacts.model_validate(run.facts))


def _known(data: PixelData) -> LatentFacts:
    assert isinstance(data.facts_, LatentFacts)
    return data.facts_


def _options(known: LatentFacts) -> dict[str, Any]:
    """Return what the data decide of a network."""
    return {
        "in_channels": known.channels,
        "image_size": [known.height, known.width],
        "latent": known.latent,
    }


def _answers(predictor, batch: Sequence[tuple[str, Tensor | str]]) -> Iterator[Reconstruction]:
    """Yield an answer for each image, in order."""
    images = [image for _, image in batch if isinstance(image, Tensor)]
    if not images:
        yield from (Reconstruction(name, error=str(error)) for name, error in batch)
        return
    made, latents = predictor().predict(images)
    errors = image_errors(made.flatten(1), image_vectors(images))
    place = 0
    for name, each in batch:
        if isinstance(each, str):
            yield Reconstruction(name, error=each)
            continue
        error, image, latent = float(errors[place]), made[place], latents[place].tolist()
        place += 1
        if error != error:
            yield Reconstruction(name, error=f"{name}: the network's answer is not a finite number")
            continue
        yield Reconstruction(name, error, latent, image=to_bytes(image))


TASK = ReconstructImages()
