"""Sounds in, one class of several out."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from convatlas.data.audio.asked import find_asked
from convatlas.data.audio.augment import LEVELS
from convatlas.data.audio.features import CEPSTRA, FRONTS, SoundFeatures
from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.list_extraction import holds_extraction_list
from convatlas.data.audio.list_voices import holds_mixtures
from convatlas.data.audio.open import Hearing, open_sound_test, open_sounds, takes_sounds
from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.sound_data import (
    EQUAL,
    MAX_SILENCE_DB,
    MAX_WINDOW_S,
    MIN_SILENCE_DB,
    ORIGINAL,
    SoundData,
    SoundFacts,
)
from convatlas.data.audio.sound_file import MAX_RATE_HZ, MIN_RATE_HZ, duration
from convatlas.data.audio.statistics import sound_statistics
from convatlas.data.audio.stored import learnt_from, load_sounds
from convatlas.data.statistics import Statistics
from convatlas.deploy.sound_classifier import SoundClassifier
from convatlas.errors import UsageError
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.explain.contact_sheet import Sample
from convatlas.explain.pictures import to_pil
from convatlas.explain.sounds import spectrogram
from convatlas.models.registry import Entry
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.search.space import Candidate
from convatlas.tasks import class_options
from convatlas.tasks.audio_networks import (
    CHANNELS,
    Rows,
    form_of,
    fresh_networks,
    transfer_networks,
)
from convatlas.tasks.class_task import ClassTask, check_class_run, check_names, class_prediction
from convatlas.tasks.onnx_sound_snippet import sound_runtime_code
from convatlas.tasks.reopened import agreeing
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.sounds import show_sounds
from convatlas.tasks.sounds import MAX_KEPT, answer_asked, answer_split, sample_sounds
from convatlas.tasks.trial_sounds import TrialSounds

AUTO = "auto"  # of augmentation: the data decide
# Training sounds of a class, up to which weights of photographs are expected to help spectrograms:
# they did with 24 (ESC-10), and not with 200 (spoken digits; `benchmarks/results/sounds.csv`).
FEW_A_CLASS = 50
LIMITS = {  # of an option that is a number: from, to
    "rate": (MIN_RATE_HZ, MAX_RATE_HZ),
    "window": (0.05, MAX_WINDOW_S),
    "max_seconds": (0.05, 1e6),
    "silence_db": (MIN_SILENCE_DB, MAX_SILENCE_DB),
}
CHOICES = {  # of an option that is a word; the first one where it is not given
    "augmentation": (AUTO, *LEVELS),
    "loudness": (ORIGINAL, EQUAL),
}


class Audio(ClassTask[SoundData]):
    """Name the class of a sound."""

    name = "audio"
    borrows = ("classify",)
    items = "sounds"
    layouts = (
        "a folder CLASS/files of sounds",
        "a folder with train/ val/ test/, each CLASS/files",
        "a CSV file with a column of sounds and one of classes, and one of folds if you like",
        "a folder with such a CSV file and the sounds, as ESC-50 and UrbanSound8K have it",
    )
    next = "sound.wav"
    asking = "Classify new sounds"
    by_folds = True

    def takes(self, source: str | Path) -> bool:
        path = Path(source)
        others = holds_mixtures(path) or holds_extraction_list(path)
        return takes_sounds(source) and not others

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_names(options, (*LIMITS, *CHOICES, *class_options.OPTIONS, "test_fold", "group"))
        for name, (low, high) in LIMITS.items():
            value = options.get(name, low)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise UsageError(f"{name} must be from {low:g} to {high:,.12g}, got {value!r}")
        for name, words in CHOICES.items():
            word = options.get(name, words[0])
            if word not in words:
                raise UsageError(f"{name} must be one of {', '.join(words)}, got '{word}'")
        class_options.check_class_options(options)

    def open(self, source, *, seed, max_broken, options, progress) -> SoundData:
        rate, fold = options.get("rate"), options.get("test_fold")
        hearing = Hearing(
            rate_hz=None if rate is None else round(rate),
            max_seconds=options.get("max_seconds", MAX_SECONDS),
            test_fold=None if fold is None else _word(fold),
            group=options.get("group"),
            window_s=options.get("window"),
            loudness=options.get("loudness", ORIGINAL),
            silence_db=options.get("silence_db"),
        )
        return open_sounds(
            source,
            seed=seed,
            max_broken=max_broken,
            hearing=hearing,
            progress=progress,
            kept=KeptSounds(),
        )

    def open_test(self, source, facts, *, max_broken, progress) -> SoundData:
        known = SoundFacts.model_validate(facts)
        return open_sound_test(
            source,
            known.classes,
            rate_hz=known.rate_hz,
            hearing=Hearing(
                max_seconds=known.max_seconds,
                loudness=known.loudness,
                silence_db=known.silence_db,
            ),
            max_broken=max_broken,
            progress=progress,
        )

    def reopen(self, stored, source, facts) -> SoundData:
        known = SoundFacts.model_validate(facts).model_dump(mode="json")  # of an old run: defaults
        return agreeing(load_sounds(stored, source), stored, known)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_from(stored)

    def with_options(self, facts, options) -> dict[str, Any]:
        given = {key: value for key, value in options.items() if value is not None}
        check_names(given, ("max_seconds",))
        self.check_options(given)
        return {**facts, **given}

    def check(self, facts, settings, run) -> None:
        prepare = _Settings.model_validate(settings)
        known = SoundFacts.model_validate(facts)
        if not len(prepare.mean) == len(prepare.std) == CHANNELS[prepare.front]:
            raise ValueError(f"mean and std must have {CHANNELS[prepare.front]} values")
        check_class_run(known.classes, CHANNELS[prepare.front], run)

    def fresh(self, entries: Sequence[Entry], data: SoundData, *, fixed_width: bool) -> Rows:
        return fresh_networks(entries, data, fixed_width=fixed_width)

    def pretrained(self, checkpoints: Sequence[Checkpoint], data: SoundData) -> Rows:
        return transfer_networks(checkpoints, data)

    def suits_public_weights(self, data: SoundData) -> bool:
        return len(data.splits["train"]) <= FEW_A_CLASS * len(data.classes)

    def input_words(self, example) -> str:
        heard = duration(example["seconds"])
        return f"{example['size']} bands, {heard}" if "size" in example else f"{heard} of MFCC"

    def trial_data(self, data: SoundData, recipe, options, progress) -> TrialSounds:
        labels = data.splits["train"].labels
        return TrialSounds(
            data,
            options.get("augmentation", AUTO),
            progress,
            class_options.label_smoothing(options),
            metric=class_options.metric_of(options),
            class_weights=class_options.class_weights(options, labels, data.classes),
        )

    def settings(self, candidate: Candidate, facts) -> dict[str, Any]:
        form = form_of(candidate.name, candidate.example, facts["rate_hz"])
        channels = CHANNELS[form["front"]]
        return {**form, "mean": [0.0] * channels, "std": [1.0] * channels}

    def predictor(self, network: nn.Module, settings, facts) -> SoundClassifier:
        known = SoundFacts.model_validate(facts)
        features = SoundFeatures(known.rate_hz, **settings, equal_loudness=known.loudness == EQUAL)
        return SoundClassifier(
            features, network, known.rate_hz, known.classes, silence_db=known.silence_db
        )

    def sample(self, split, count: int) -> list[Tensor]:
        return sample_sounds(split, count)

    def small(self, item: Tensor) -> Tensor:
        return item[:MAX_KEPT].contiguous()

    def predict(self, predictor, asked, facts, progress):
        found = find_asked(asked, progress)
        # A generator may make more sounds than memory holds: they are not counted beforehand.
        listed = found if isinstance(asked, Iterator) else list(found)
        total = len(listed) if isinstance(listed, list) else None
        known = SoundFacts.model_validate(facts)
        answers = answer_asked(predictor, listed, known)
        return total, (class_prediction(*answer, known.classes) for answer in answers)

    def evaluate(self, predictor, split, facts, progress) -> Evaluation:
        answers = answer_split(predictor, split, progress, "testing")
        return self.evaluation(answers, split.labels, split.files, facts["classes"])

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        known = SoundFacts.model_validate(facts)
        rate = known.rate_hz
        rows = [
            ("heard at", f"{rate:,} Hz, one channel"),
            ("window", duration(settings["samples"] / rate)),
            ("front end", WORDS[settings["front"]].format(size=settings["size"])),
        ]
        if known.silence_db is not None:
            words = f"{known.silence_db:g} dB below the loudest moment of a sound, left out"
            rows.append(("silence", words))
        if known.loudness == EQUAL:
            rows.append(("loudness", "evened out within a window, by 250 ms"))
        mean, std = (" ".join(f"{v:.4g}" for v in settings[key]) for key in ("mean", "std"))
        return [*rows, ("mean; deviation", f"{mean}; {std}")]

    def show(self, evaluation: Evaluation, data: SoundData, scan) -> ReportContent:
        return show_sounds(evaluation, data, scan)

    def statistics(
        self, data: SoundData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part = data.splits[split]
        return sound_statistics(part.read, len(part), data.rate_hz, progress)

    def preview(self, data: SoundData, split: str, place: int) -> Sample:
        part = data.splits[split]
        picture = to_pil(spectrogram(part.read(place), data.rate_hz))
        return Sample(picture, [(data.classes[part.labels[place]], None)])

    def runtime_code(self, path: Path, run) -> str:
        known = SoundFacts.model_validate(run.facts)
        return sound_runtime_code(path, known.rate_hz, known.silence_db)


WORDS = {
    "log_mel": "logarithms of {size} mel bands in {size} columns",
    CEPSTRA: "20 cepstral coefficients (MFCC) every 10 ms",
    "three_bands": "three bands of a spectrogram, {size} x {size} each, in decibels",
    "three_windows": "log-mel spectrograms of three windows, {size} x {size} each",
}


class _Settings(BaseModel):
    """What `SoundFeatures` takes beside the rate."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    front: str = Field(pattern=f"^({'|'.join(FRONTS)})$")
    samples: int = Field(ge=1, le=round(MAX_WINDOW_S * MAX_RATE_HZ))
    size: int = Field(ge=0, le=1024)
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


def _word(value: Any) -> str:
    whole = isinstance(value, float) and math.isfinite(value) and value == int(value)
    return str(int(value)) if whole else str(value)


TASK = Audio()
