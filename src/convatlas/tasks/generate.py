"""Images in, the probability of each of their values out; and new images drawn from it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convatlas.data.images.loose import holds_loose
from convatlas.data.images.statistics import image_statistics
from convatlas.data.images.stored_split import learnt_from
from convatlas.data.pixels.open_pixels import (
    LAYOUTS,
    open_pixels,
    open_pixels_test,
    reopen_pixels,
)
from convatlas.data.pixels.pixel_data import PixelData, PixelFacts, PixelSplit
from convatlas.data.statistics import Statistics
from convatlas.deploy.pixel_model import PixelModel
from convatlas.errors import UsageError
from convatlas.explain.contact_sheet import Sample
from convatlas.explain.pictures import to_pil
from convatlas.explain.pixels.evaluation import PixelEvaluation, evaluate_pixels
from convatlas.explain.pixels.prediction import COLUMNS, CSV_COLUMNS, PixelPrediction
from convatlas.models.registry import Entry
from convatlas.search.space import width_sweeps
from convatlas.tasks.images import listed_images, reading_of, with_reading
from convatlas.tasks.onnx_pixels_snippet import pixels_runtime_code
from convatlas.tasks.pixel_answers import read_asked
from convatlas.tasks.pixel_options import check_pixel_options, pixel_options
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.pixels import show_pixels
from convatlas.tasks.task import Task
from convatlas.tasks.trial_pixels import TrialPixels
from convatlas.text import printable_few
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.generate import BITS_PER_DIM

RECIPE = Recipe(lr=3e-3, weight_decay=0.01, batch_size=32)


class GenerateImages(Task[PixelData, PixelEvaluation]):
    """Give each value of an image a probability, and draw new images."""

    name = "generate"
    metric = BITS_PER_DIM
    items = "images"
    layouts = LAYOUTS
    columns = COLUMNS
    right = ("bits/dim", "probability")
    next = "photo.png"
    asking = "Ask how probable images are"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return source != "digits" and holds_loose(source)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_pixel_options(options)

    def open(self, source, *, seed, max_broken, options, progress) -> PixelData:
        return open_pixels(
            source,
            seed=seed,
            max_broken=max_broken,
            reading=reading_of(options),
            progress=progress,
            **pixel_options(options),
        )

    def open_test(self, source, facts, *, max_broken, progress) -> PixelData:
        return open_pixels_test(source, facts, max_broken=max_broken, progress=progress)

    def reopen(self, stored, source, facts) -> PixelData:
        return reopen_pixels(stored, source, facts)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_from(stored)

    def with_options(self, facts, options) -> dict[str, Any]:
        return with_reading(facts, options)

    def check(self, facts, settings, run) -> None:
        known = PixelFacts.model_validate(facts)
        if settings:
            raise ValueError(f"settings must be empty, got {sorted(settings)}")
        if known.told and not known.classes:
            raise ValueError("classes must be there where they are told")
        expected = {"in_channels": known.channels, "levels": known.levels}
        if known.told:
            expected["conditions"] = len(known.classes)
        for option, value in expected.items():
            if run.options.get(option, value) != value:
                raise ValueError(f"options: {option} is {run.options[option]}, not {value}")

    def fresh(self, entries: Sequence[Entry], data: PixelData, *, fixed_width: bool):
        facts = data.facts_
        suiting = [e for e in entries if ("conditions" in e.defaults) == facts.told]
        if not suiting and len(entries) == 1:
            (entry,) = entries
            way = "is told no class; gated_pixelcnn_conditional is"
            if not facts.told:
                way = "must be told the class of each image; --set by_class=true tells it"
            raise UsageError(f"{entry.name} {way}")
        options = {
            "in_channels": facts.channels,
            "levels": facts.levels,
            "conditions": len(facts.classes),
        }
        forms = [({"height": facts.height, "width": facts.width}, {})]
        return {
            e.name: width_sweeps(e, options=options, forms=forms, fixed_width=fixed_width)
            for e in suiting
        }

    def pretrained(self, checkpoints, data):
        raise UsageError("there are no public weights for the task generate")

    def input_words(self, example) -> str:
        return f"{example['width']} x {example['height']} px"

    def trial_data(self, data: PixelData, recipe, options, progress) -> TrialPixels:
        return TrialPixels(data, progress)

    def settings(self, candidate, facts) -> dict[str, Any]:
        return {}

    def predictor(self, network: nn.Module, settings, facts) -> PixelModel:
        return PixelModel(network, PixelFacts.model_validate(facts))

    def sample(self, split: PixelSplit, count: int) -> list[Any]:
        return split.spaced(count)

    def predict(self, predictor, asked, facts, progress):
        total, listed = listed_images(asked, progress)
        known = PixelFacts.model_validate(facts)
        batches = read_asked(listed, known)
        return total, (each for batch in batches for each in _batch(predictor, batch, known))

    def evaluate(self, predictor, split: PixelSplit, facts, progress) -> PixelEvaluation:
        assert isinstance(predictor, PixelModel)
        return evaluate_pixels(predictor, split, progress, self.items)

    def csv_columns(self, top: int) -> list[str]:
        return list(CSV_COLUMNS)

    def describe_facts(self, facts) -> list[tuple[str, str]]:
        if not facts["told"]:
            return []
        return [("classes", f"{len(facts['classes']):,}: {printable_few(facts['classes'], 5)}")]

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        known = PixelFacts.model_validate(facts)
        size = f"{known.width} x {known.height} pixels"
        return [
            ("images", f"resized to {size}" if known.resized else f"{size}, others are refused"),
            ("values", f"{known.levels} levels, one after the other in reading order"),
            ("the network is told", "the class" if known.told else "nothing else"),
        ]

    def show(self, evaluation: PixelEvaluation, data: PixelData, scan) -> ReportContent:
        return show_pixels(evaluation, data)

    def statistics(
        self, data: PixelData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        return image_statistics(data.splits[split].images, progress)

    def preview(self, data: PixelData, split: str, place: int) -> Sample:
        part, classes = data.splits[split], data.facts_.classes
        words = [(classes[part.labels[place]], None)] if classes else []
        return Sample(to_pil(part.read(place)), words)

    def runtime_code(self, path: Path, run) -> str:
        return pixels_runtime_code(path, PixelFacts.model_validate(run.facts))


def _batch(predictor, waiting, facts: PixelFacts):
    images = [image for _, image in waiting if isinstance(image, Tensor)]
    if not images:
        yield from (PixelPrediction(name, error=error) for name, error in waiting)
        return
    bits, shares = predictor().image_bits(images)
    place = 0
    for name, each in waiting:
        if isinstance(each, str):
            yield PixelPrediction(name, error=each)
            continue
        found, place = float(bits[place]), place + 1
        if found != found:
            yield PixelPrediction(
                name, error=f"{name}: the network's answer is not a finite number"
            )
            continue
        named = (
            None
            if shares is None
            else dict(zip(facts.classes, shares[place - 1].tolist(), strict=True))
        )
        yield PixelPrediction(name, found, named)


TASK = GenerateImages()
