"""Images in, a class for each of their pixels out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from convatlas.data.images.annotated import AnnotatedData, AnnotatedSplit
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.statistics import image_statistics
from convatlas.data.images.stored_annotated import load_annotated
from convatlas.data.images.stored_reading import OPTIONS
from convatlas.data.masks.facts import MaskFacts
from convatlas.data.masks.mask_files import MAX_MASK_CLASSES, Mask, MaskKind, read_mask
from convatlas.data.masks.open import LAYOUTS, open_masks, takes_masks
from convatlas.data.masks.statistics import mask_statistics
from convatlas.data.masks.volumes import DEPTH, as_volumes
from convatlas.data.statistics import Statistics
from convatlas.deploy.segmenter import MaskPredictor, as_segmenter
from convatlas.explain.contact_sheet import Sample
from convatlas.explain.masks.draw import class_colours, overlay
from convatlas.explain.masks.evaluation import RAND, MaskEvaluation
from convatlas.explain.masks.prediction import COLUMNS, csv_columns
from convatlas.explain.pictures import to_pil
from convatlas.models.registry import Entry
from convatlas.search.space import Candidate
from convatlas.tasks import mask_options
from convatlas.tasks.annotated_task import AnnotatedTask, check_annotated_run
from convatlas.tasks.class_task import check_names
from convatlas.tasks.images import reading_of
from convatlas.tasks.mask_answers import (
    evaluate_masks,
    predict_masks,
    sample_masks,
    small_input,
)
from convatlas.tasks.mask_networks import fresh_segmenters, reduction
from convatlas.tasks.onnx_mask_snippet import mask_runtime_code
from convatlas.tasks.reopened import of_same_classes
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.masks import show_masks
from convatlas.tasks.trial_masks import TrialMasks
from convatlas.train.mask_figures import MEAN_IOU
from convatlas.train.recipe import Recipe

RECIPE = Recipe(lr=3e-3, weight_decay=0.02, batch_size=8)


class Segment(AnnotatedTask[AnnotatedData[Mask], MaskEvaluation]):
    """Give each pixel of an image its class."""

    name = "segment"
    metric = MEAN_IOU
    before = ("generate",)  # whose loose images lie there as well
    layouts = LAYOUTS
    columns = COLUMNS
    right = ("share", "probability")
    asking = "Segment new images"
    recipe = RECIPE
    transfer_recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return takes_masks(source)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_names(options, (*OPTIONS, *mask_options.OPTIONS))
        reading_of(options)
        mask_options.check_mask_options(options)

    def open(self, source, *, seed, max_broken, options, progress) -> AnnotatedData[Mask]:
        data = open_masks(
            source,
            seed=seed,
            max_broken=max_broken,
            ignored=mask_options.ignored_values(options),
            reading=reading_of(options),
            progress=progress,
            kept=KeptPixels(),
        )
        return as_volumes(data) if options.get("stacks") == mask_options.VOLUMES else data

    def open_test(self, source, facts, *, max_broken, progress) -> AnnotatedData[Mask]:
        known = MaskFacts.model_validate(facts)
        data = open_masks(
            source,
            max_broken=max_broken,
            ignored=known.ignored,
            classes=known.classes,
            reading=known.reading,
            progress=progress,
        )
        return data if known.depth is None else as_volumes(data)

    def reopen(self, stored, source, facts) -> AnnotatedData[Mask]:
        known = MaskFacts.model_validate(facts)
        data = load_annotated(stored, MaskKind(known.ignored), source)
        data = of_same_classes(data, stored, facts)
        return data if known.depth is None else as_volumes(data)

    def check(self, facts, settings, run) -> None:
        prepare, known = _Settings.model_validate(settings), MaskFacts.model_validate(facts)
        if not 2 <= len(known.classes) <= MAX_MASK_CLASSES:
            raise ValueError(
                f"classes must be from 2 to {MAX_MASK_CLASSES}, got {len(known.classes)}"
            )
        check_annotated_run(known, prepare.mean, prepare.std, run)
        if any(not 0 <= run.figures.get(key, 0) <= 1 for key in (MEAN_IOU.key, RAND.key)):
            raise ValueError(f"figures: {MEAN_IOU.key} must be from 0 to 1, got {run.figures}")

    def fresh(self, entries: Sequence[Entry], data: AnnotatedData[Mask], *, fixed_width: bool):
        return fresh_segmenters(entries, data, fixed_width=fixed_width)

    def input_words(self, example) -> str:
        if DEPTH in example:
            return f"{example[DEPTH]} x {example['size']} x {example['size']} window"
        return f"{example['size']} px window"

    def trial_data(self, data: AnnotatedData[Mask], recipe, options, progress) -> TrialMasks:
        level = options.get("augmentation", mask_options.AUTO)
        if level == mask_options.AUTO:
            level = "cells" if data.channels == 1 else "photo"
        train = data.splits["train"].targets
        counts = data.kind.count(train, len(data.classes))
        given = options.get("reduce", mask_options.AUTO)
        return TrialMasks(
            data,
            progress,
            level=level,
            reduce=reduction(data) if given == mask_options.AUTO else int(given),
            dice=float(options.get("dice", mask_options.DICE)),
            class_weights=mask_options.class_weights(options, counts, data.classes),
            border_weight=float(options.get("border_weight", 0.0)),
            crop=int(options["crop"]) if "crop" in options else None,
        )

    def settings(self, candidate: Candidate, facts) -> dict[str, Any]:
        channels = facts["channels"]
        return {"mean": [0.5] * channels, "std": [0.25] * channels, "reduce": 1}

    def predictor(self, network: nn.Module, settings, facts) -> MaskPredictor:
        known, prepare = MaskFacts.model_validate(facts), _Settings.model_validate(settings)
        sides = (known.height, known.width)
        return MaskPredictor(
            as_segmenter(network),
            prepare.mean,
            prepare.std,
            known.classes,
            reduce=prepare.reduce,
            usual=sides if known.depth is None else (known.depth, *sides),
        )

    def sample(self, split: AnnotatedSplit[Mask], count: int) -> list[Tensor]:
        return sample_masks(split, count)

    def small(self, item: Tensor) -> Tensor:
        return small_input(item)

    def predict(self, predictor, asked, facts, progress):
        return predict_masks(predictor, asked, MaskFacts.model_validate(facts), progress)

    def evaluate(self, predictor, split: AnnotatedSplit[Mask], facts, progress) -> MaskEvaluation:
        return evaluate_masks(predictor, split, facts["classes"], progress)

    def csv_columns(self, top: int) -> list[str]:
        return csv_columns(top)

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        mean, std = (" ".join(f"{v:.4f}" for v in settings[key]) for key in ("mean", "std"))
        reduce = settings["reduce"]
        size = "as they are" if reduce == 1 else f"reduced to 1 / {reduce} by averages"
        return [
            ("images", f"{size}; large ones go window by window"),
            ("mean, deviation", f"{mean}; {std}"),
        ]

    def show(self, evaluation: MaskEvaluation, data, scan) -> ReportContent:
        return show_masks(evaluation, data)

    def statistics(
        self, data: AnnotatedData[Mask], split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part = data.splits[split]
        return [
            *mask_statistics(part.targets, data.classes),
            *image_statistics(part, progress),
        ]

    def preview(self, data: AnnotatedData[Mask], split: str, place: int) -> Sample:
        part, names = data.splits[split], data.classes
        mask = read_mask(part, place)
        counts = data.kind.count([part.targets[place]], len(names))
        # The first class is left as the image has it.
        colours = [None, *map(tuple, class_colours(len(names)).tolist()[1:])]
        order = sorted((n for n, count in enumerate(counts) if count), key=lambda n: -counts[n])
        words = [(f"{names[n]} {counts[n] / mask.numel():.1%}", colours[n]) for n in order]
        return Sample(to_pil(overlay(part.read(place), mask, len(names))), words)

    def runtime_code(self, path: Path, run) -> str:
        known = MaskFacts.model_validate(run.facts)
        return mask_runtime_code(path, known)


class _Settings(BaseModel):
    """What `MaskPredictor` takes beside the network and the facts."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    reduce: int = Field(default=1, ge=1, le=64)


TASK = Segment()
