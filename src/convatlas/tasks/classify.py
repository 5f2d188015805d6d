"""Images in, one class of several out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from convatlas.data import ImageData, Preprocess, load_split, open_images, open_test
from convatlas.data.images.aspect import NOT_SQUARE, usual_aspect
from convatlas.data.images.augment import LEVELS
from convatlas.data.images.image_data import ImageFacts
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.many_channels import COLOUR
from convatlas.data.images.open import takes_images
from convatlas.data.images.photographs import are_photographs
from convatlas.data.images.statistics import image_statistics
from convatlas.data.images.stored_reading import OPTIONS
from convatlas.data.images.stored_split import learnt_from
from convatlas.data.masks.open import takes_masks
from convatlas.data.statistics import Statistics
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.ten_crops import CROPS, TenCrops
from convatlas.errors import UsageError
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.explain.contact_sheet import Sample
from convatlas.explain.pictures import to_pil
from convatlas.models.registry import Entry
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.search.space import Candidate
from convatlas.tasks import class_options
from convatlas.tasks.augmented_preview import augmented_images
from convatlas.tasks.class_task import ClassTask, check_class_run, check_names, class_prediction
from convatlas.tasks.image_networks import Rows, at_sizes, fresh_networks, transfer_networks
from convatlas.tasks.images import (
    answer_asked,
    answer_split,
    listed_images,
    middle,
    reading_of,
    sample_images,
    with_reading,
)
from convatlas.tasks.onnx_snippet import runtime_code
from convatlas.tasks.reopened import of_same_classes
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.classes import show_classes
from convatlas.tasks.trial_images import (
    LETTERBOX,
    LETTERBOXED,
    STRETCH,
    TrialImages,
    prepared,
)

AUTO = "auto"  # of augmentation: the data decide; of resize: if images are not square
RESIZES = (AUTO, STRETCH, LETTERBOX)
MIXING = {"mixup": math.inf, "cutmix": math.inf, "mix_until": 1.0}  # option and its largest value
MAX_MAGNITUDE = 30  # of RandAugment


class Classify(ClassTask[ImageData]):
    """Name the class of an image."""

    name = "classify"
    items = "images"
    layouts = (
        "a folder CLASS/files",
        "a folder with train/ val/ test/, each CLASS/files",
        "a CSV file with a column of files and one of classes, such as file_name,label",
        "the files of MNIST (and of its kin), CIFAR-10, CIFAR-100 or SVHN as they are published",
        "shards of WebDataset, tables of images (parquet, or as `datasets` saves them), `hf:NAME`",
        "a folder with metadata.jsonl, a line an image with its file_name and label",
        "folders and tables also of TIFF or npy files with more than three channels",
        "`digits`, which are embedded",
    )
    next = "photo.png"
    asking = "Classify new images"
    by_folds = True

    def takes(self, source: str | Path) -> bool:
        return takes_images(source) and not takes_masks(source)

    def check_options(self, options: Mapping[str, Any]) -> None:
        known = ("augmentation", "randaugment", *MIXING, "resize")
        check_names(options, (*OPTIONS, *class_options.OPTIONS, *known))
        reading_of(options)
        level = options.get("augmentation", AUTO)
        if level not in (AUTO, *LEVELS):
            raise UsageError(
                f"augmentation must be one of {', '.join((AUTO, *LEVELS))}, got '{level}'"
            )
        if options.get("resize", AUTO) not in RESIZES:
            raise UsageError(
                f"resize must be one of {', '.join(RESIZES)}, got '{options['resize']}'"
            )
        class_options.check_class_options(options)
        for name, most in {**MIXING, "randaugment": MAX_MAGNITUDE}.items():
            value = options.get(name, 0)
            if not isinstance(value, int | float) or not 0 <= value <= most or value == math.inf:
                raise UsageError(f"{name} must be a number from 0 up to {most:g}, got {value!r}")

    def open(self, source, *, seed, max_broken, options, progress) -> ImageData:
        return open_images(
            source,
            seed=seed,
            max_broken=max_broken,
            reading=reading_of(options),
            progress=progress,
            kept=KeptPixels(),
        )

    def open_test(self, source, facts, *, max_broken, progress) -> ImageData:
        known = ImageFacts.model_validate(facts)
        return open_test(
            source,
            known.classes,
            max_broken=max_broken,
            reading=known.reading,
            progress=progress,
            channels=known.channels,
        )

    def reopen(self, stored, source, facts) -> ImageData:
        return of_same_classes(load_split(stored, source), stored, facts)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_from(stored)

    def with_options(self, facts, options) -> dict[str, Any]:
        return with_reading(facts, options)

    def check(self, facts, settings, run) -> None:
        prepare = _Settings.model_validate(settings)
        known = ImageFacts.model_validate(facts)
        if not len(prepare.mean) == len(prepare.std) == known.channels:
            raise ValueError(f"mean and std must have {known.channels} values")
        check_class_run(known.classes, known.channels, run)
        if prepare.pad is not None and (len(prepare.pad) != known.channels or prepare.crop):
            raise ValueError(f"pad must have {known.channels} values, and there is no crop then")

    def fresh(self, entries: Sequence[Entry], data: ImageData, *, fixed_width: bool) -> Rows:
        area = data.height * data.width
        return fresh_networks(entries, _options(data), area, fixed_width=fixed_width)

    def pretrained(self, checkpoints: Sequence[Checkpoint], data: ImageData) -> Rows:
        return transfer_networks(checkpoints, _options(data), data.height * data.width)

    def suits_public_weights(self, data: ImageData) -> bool:
        return data.channels in COLOUR and are_photographs(data)

    def input_words(self, example) -> str:
        return f"{example['size']} px"

    def form_words(self, candidate: Candidate) -> str:
        words = self.input_words(candidate.example)
        return f"{words} {LETTERBOX}" if candidate.prepare == LETTERBOXED else words

    def other_forms(self, candidate: Candidate, data: ImageData, options) -> list[Candidate]:
        known = options.get("resize", AUTO) != AUTO or candidate.prepare
        if known or usual_aspect(data) < NOT_SQUARE:
            return []
        return [replace(candidate, prepare=LETTERBOXED)]

    def trial_data(self, data: ImageData, recipe, options, progress) -> TrialImages:
        labels = data.splits["train"].labels
        return TrialImages(
            data,
            options.get("augmentation", AUTO),
            progress,
            class_options.label_smoothing(options),
            resize=options.get("resize", AUTO),
            metric=class_options.metric_of(options),
            class_weights=class_options.class_weights(options, labels, data.classes),
            rand_magnitude=_magnitude(options, data),
            mixing={name: options[name] for name in MIXING if options.get(name)},
        )

    def at_size(self, entry: Entry, data: ImageData, size: int) -> Candidate:
        return at_sizes(entry, _options(data), [size], fixed_width=True)[0][0]

    def settings(self, candidate: Candidate, facts) -> dict[str, Any]:
        channels, size = facts["channels"], candidate.example["size"]
        if candidate.checkpoint is not None:
            return prepared(candidate.checkpoint.preprocess(channels, size))
        return prepared(Preprocess(channels, size, [0.5] * channels, [0.5] * channels))

    def predictor(self, network: nn.Module, settings, facts) -> ImageClassifier:
        known = ImageFacts.model_validate(facts)
        preprocess = Preprocess(known.channels, **settings)
        return ImageClassifier(preprocess, network, known.classes, (known.height, known.width))

    def sample(self, split, count: int) -> list[Tensor]:
        return sample_images(split, count)

    def small(self, item: Tensor) -> Tensor:
        return middle(item)

    def predict(self, predictor, asked, facts, progress):
        total, listed = listed_images(asked, progress, arrays=True)
        known = ImageFacts.model_validate(facts)
        answers = answer_asked(predictor, listed, known.channels, known.reading)
        return total, (class_prediction(*answer, known.classes) for answer in answers)

    def evaluate(self, predictor, split, facts, progress) -> Evaluation:
        answers = torch.cat(
            [part for _, part in answer_split(predictor, split, progress, "testing")]
        )
        return self.evaluation(answers, split.labels, split.files, facts["classes"])

    def by_crops(self, predictor, crops: int) -> TenCrops:
        if crops != CROPS:
            raise UsageError(f"crops must be 1 or {CROPS}, got {crops}")
        assert isinstance(predictor, ImageClassifier)
        return TenCrops(predictor)

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        size, crop = settings["size"], settings["crop"]
        how = "stretched to the square"
        if crop:
            how = f"shorter side to {int(size / crop)} pixels, then the square in the middle"
        elif settings.get("pad"):
            how = "longer side to the square's, aspect ratio kept by borders (letterbox)"
        mean, std = (" ".join(f"{v:.4f}" for v in settings[key]) for key in ("mean", "std"))
        return [("resize", f"{settings['filter']}, {how}"), ("mean, deviation", f"{mean}; {std}")]

    def show(self, evaluation: Evaluation, data: ImageData, scan) -> ReportContent:
        return show_classes(evaluation, data, scan)

    def statistics(
        self, data: ImageData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        return image_statistics(data.splits[split], progress)

    def preview(self, data: ImageData, split: str, place: int) -> Sample:
        return self._sample(data, split, place, data.splits[split].read(place))

    def augmented_previews(
        self, data: ImageData, split: str, places: Sequence[int], size: int, seed: int
    ) -> list[Sample]:
        images = augmented_images(data, split, places, size, seed)
        return [self._sample(data, split, *each) for each in zip(places, images, strict=True)]

    def _sample(self, data: ImageData, split: str, place: int, image: Tensor) -> Sample:
        part = data.splits[split]
        words = [data.classes[part.labels[place]]]
        if data.channels not in COLOUR:
            words.append(f"channel{'s 1 to 3' if data.channels > 3 else ' 1'} of {data.channels}")
        return Sample(to_pil(image), [(word, None) for word in words])

    def runtime_code(self, path: Path, run) -> str:
        known = ImageFacts.model_validate(run.facts)
        return runtime_code(path, known.channels, known.reading)


class _Settings(BaseModel):
    """What `Preprocess` takes beside the channels."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    size: int = Field(ge=1, le=8192)  # pixels: more is no network's
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    crop: float | None = Field(default=None, gt=0, le=1)
    filter: str = Field(pattern="^(bilinear|bicubic)$")
    pad: list[Annotated[int, Field(ge=0, le=255)]] | None = None


def _magnitude(options: Mapping[str, Any], data: ImageData) -> int:
    magnitude = int(options.get("randaugment", 0))
    if magnitude and data.channels not in COLOUR:
        raise UsageError(f"randaugment takes grey or colour images, not {data.channels} channels")
    return magnitude


def _options(data: ImageData) -> dict[str, int]:
    return {"in_channels": data.channels, "num_classes": len(data.classes)}


TASK = Classify()
