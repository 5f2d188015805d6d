"""Images in, boxes with classes out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from convatlas.data import Preprocess
from convatlas.data.boxes.augment import LEVELS
from convatlas.data.boxes.boxes import BOXES, Boxes
from convatlas.data.boxes.open import LAYOUTS, open_boxes, takes_boxes
from convatlas.data.boxes.statistics import box_statistics
from convatlas.data.images.annotated import AnnotatedData, AnnotatedFacts, AnnotatedSplit
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.statistics import image_statistics
from convatlas.data.images.stored_annotated import load_annotated
from convatlas.data.images.stored_reading import OPTIONS
from convatlas.data.statistics import Statistics
from convatlas.deploy.detector import BoxDetector
from convatlas.errors import DataError, UsageError
from convatlas.explain.boxes.draw import class_colour, draw_boxes
from convatlas.explain.boxes.evaluation import BoxEvaluation, as_metric
from convatlas.explain.boxes.prediction import COLUMNS, BoxPrediction, coco_results, csv_columns
from convatlas.explain.contact_sheet import CELL, Sample
from convatlas.metric import Metric
from convatlas.models.detect.detector import Detector
from convatlas.models.detect.found import SURE_SCORE
from convatlas.models.registry import Entry
from convatlas.search.space import Candidate, width_sweeps
from convatlas.tasks.annotated_task import AnnotatedTask, check_annotated_run
from convatlas.tasks.box_networks import box_options, box_sizes
from convatlas.tasks.class_task import check_names
from convatlas.tasks.images import (
    answer_asked,
    answer_split,
    listed_images,
    middle,
    reading_of,
    sample_images,
)
from convatlas.tasks.onnx_boxes_snippet import boxes_runtime_code
from convatlas.tasks.reopened import of_same_classes
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.boxes import show_boxes
from convatlas.tasks.trial_boxes import USUAL_LEVEL, TrialBoxes
from convatlas.text import printable_few
from convatlas.train.box_figures import BEST_SCORE, MAP, METRICS, coco_library
from convatlas.train.recipe import Recipe

RECIPE = Recipe(lr=2e-3, weight_decay=0.05, batch_size=8, clip_norm=5.0, ema_decay=0.98)


class DetectObjects(AnnotatedTask[AnnotatedData[Boxes], BoxEvaluation]):
    """Find where an image shows something, and what."""

    name = "detect"
    metric = MAP
    before = ("classify", "generate")
    layouts = LAYOUTS
    columns = COLUMNS
    right = COLUMNS[2:]
    asking = "Find objects on new images"
    recipe = RECIPE
    transfer_recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return takes_boxes(source)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_names(options, (*OPTIONS, "augmentation", "metric"))
        reading_of(options)
        level = options.get("augmentation", USUAL_LEVEL)
        if level not in LEVELS:
            raise UsageError(f"augmentation must be one of {', '.join(LEVELS)}, got '{level}'")
        self.metric_for(options)

    def metric_for(self, options: Mapping[str, Any]) -> Metric:
        wanted = options.get("metric", self.metric.key)
        found = next((metric for metric in METRICS if metric.key == wanted), None)
        if found is None:
            names = ", ".join(metric.key for metric in METRICS)
            raise UsageError(f"metric must be one of {names}, got '{wanted}'")
        return found

    def open(self, source, *, seed, max_broken, options, progress) -> AnnotatedData[Boxes]:
        return open_boxes(
            source,
            seed=seed,
            max_broken=max_broken,
            reading=reading_of(options),
            progress=progress,
            kept=KeptPixels(),
        )

    def open_test(self, source, facts, *, max_broken, progress) -> AnnotatedData[Boxes]:
        known = BoxFacts.model_validate(facts)
        return open_boxes(
            source,
            max_broken=max_broken,
            classes=known.classes,
            reading=known.reading,
            progress=progress,
        )

    def reopen(self, stored, source, facts) -> AnnotatedData[Boxes]:
        return of_same_classes(load_annotated(stored, BOXES, source), stored, facts)

    def facts_for_answers(self, facts, validation) -> dict[str, Any]:
        score = validation.get(BEST_SCORE)
        return dict(facts) if score is None else {**facts, "score": score}

    def with_options(self, facts, options) -> dict[str, Any]:
        asked = dict(options)
        score = asked.pop("score", None)
        if score is not None and not 0 <= score < 1:
            raise UsageError(f"--score must be from 0 to below 1, got {score:g}")
        known = super().with_options(facts, asked)
        return known if score is None else {**known, "score": score}

    def answer_notes(self, facts) -> list[str]:
        shown = BoxFacts.model_validate(facts).score
        return [f"shown are boxes that score {shown:g} or more; --score N shows others"]

    def check(self, facts, settings, run) -> None:
        prepare = _Settings.model_validate(settings)
        known = AnnotatedFacts.model_validate(facts)
        check_annotated_run(known, prepare.mean, prepare.std, run)
        if any(not 0 <= run.figures.get(metric.key, 0) <= 1 for metric in METRICS):
            raise ValueError(f"figures: average precision must be from 0 to 1, got {run.figures}")

    def fresh(self, entries: Sequence[Entry], data: AnnotatedData[Boxes], *, fixed_width: bool):
        options = box_options(data)
        forms = [({"size": size}, {"image_size": size}) for size in box_sizes(data)]
        return {
            entry.name: width_sweeps(entry, options=options, forms=forms, fixed_width=fixed_width)
            for entry in entries
        }

    def input_words(self, example) -> str:
        return f"{example['size']} px"

    def trial_data(self, data: AnnotatedData[Boxes], recipe, options, progress) -> TrialBoxes:
        coco_library()  # what is missing is said before anything is trained
        level = options.get("augmentation", USUAL_LEVEL)
        return TrialBoxes(data, level, progress, self.metric_for(options))

    def settings(self, candidate: Candidate, facts) -> dict[str, Any]:
        channels, size = facts["channels"], candidate.example["size"]
        mean = std = [0.5] * channels
        return {"size": size, "mean": mean, "std": std, "crop": None, "filter": "bilinear"}

    def predictor(self, network: nn.Module, settings, facts) -> BoxDetector:
        known = AnnotatedFacts.model_validate(facts)
        if not isinstance(network, Detector):
            raise UsageError(f"detect: {type(network).__name__} must be a Detector")
        preprocess = Preprocess(known.channels, **settings)
        return BoxDetector(preprocess, network, known.classes, (known.height, known.width))

    def sample(self, split, count: int) -> list[Tensor]:
        return sample_images(split, count)

    def small(self, item: Tensor) -> Tensor:
        return middle(item)

    def predict(self, predictor, asked, facts, progress):
        total, listed = listed_images(asked, progress)
        known = BoxFacts.model_validate(facts)
        classes = tuple(known.classes)
        kept: dict[str, Tensor] = {}
        answers = answer_asked(predictor, listed, known.channels, known.reading, kept)
        return total, (
            BoxPrediction(name, error=error)
            if error is not None
            else BoxPrediction.of(name, answer, kept.pop(name, None), classes, known.score)
            for name, answer, error in answers
        )

    def evaluate(self, predictor, split: AnnotatedSplit[Boxes], facts, progress) -> BoxEvaluation:
        found = [
            each for _, part in answer_split(predictor, split, progress, "testing") for each in part
        ]
        odd = [n for n, each in enumerate(found) if not bool(torch.isfinite(each.scores).all())]
        if odd:
            raise DataError(
                f"the network's answer is not a finite number for {len(odd)} of {len(found)} "
                f"images: {printable_few(split.files[n] for n in odd)}"
            )
        truth = [(each.corners, each.labels) for each in split.targets]
        none = Boxes.of([])
        hidden = [each.ignored or none for each in split.targets]
        ignored = [(each.corners, each.labels) for each in hidden] if any(hidden) else []
        known = BoxFacts.model_validate(facts)
        return BoxEvaluation(
            split.files, found, truth, known.classes, ignored=ignored, score=known.score
        )

    def judged_by(self, evaluation: BoxEvaluation, metric: Metric) -> BoxEvaluation:
        return as_metric(evaluation, metric)

    def csv_columns(self, top: int) -> list[str]:
        return csv_columns(top)

    def json_answers(self, predictions, facts) -> list[dict[str, Any]]:
        return coco_results(predictions, facts["classes"])

    def describe_facts(self, facts) -> list[tuple[str, str]]:
        return [("classes", f"{len(facts['classes']):,}: {printable_few(facts['classes'], 5)}")]

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        mean, std = (" ".join(f"{v:.4f}" for v in settings[key]) for key in ("mean", "std"))
        how = f"{settings['filter']}, stretched to {settings['size']} x {settings['size']}"
        return [("resize", how), ("mean, deviation", f"{mean}; {std}")]

    def show(self, evaluation: BoxEvaluation, data: AnnotatedData[Boxes], scan) -> ReportContent:
        return show_boxes(evaluation, data, scan)

    def statistics(
        self, data: AnnotatedData[Boxes], split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part = data.splits[split]
        return [
            *box_statistics(part.targets, data.classes),
            *image_statistics(part, progress),
        ]

    def preview(self, data: AnnotatedData[Boxes], split: str, place: int) -> Sample:
        part = data.splits[split]
        target = part.targets[place]
        picture = draw_boxes(part.read(place), target.corners, target.labels, CELL)
        counts = data.kind.count([target], len(data.classes))
        words = [
            (f"{count} {data.classes[label]}", class_colour(label))
            for label, count in enumerate(counts)
            if count
        ]
        return Sample(picture, words or [("nothing", None)])

    def runtime_code(self, path: Path, run) -> str:
        known = AnnotatedFacts.model_validate(run.facts)
        score = run.validation.get(BEST_SCORE, SURE_SCORE)
        return boxes_runtime_code(path, known.channels, known.reading, score)


class BoxFacts(AnnotatedFacts):
    """What answering needs to know.

    Args:
        score: from which a box is shown; older runs stored none.
    """

    score: float = SURE_SCORE


class _Settings(BaseModel):
    """What `Preprocess` takes beside the channels, where images are stretched."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    size: int = Field(ge=1, le=8192)  # pixels: more is no network's
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    crop: None = None
    filter: str = Field(pattern="^(bilinear|bicubic)$")


TASK = DetectObjects()
