"""A mixture of voices and a clip of one speaker in, that speaker's voice out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from convatlas.data.audio.asked_pairs import AskedPair, find_pairs
from convatlas.data.audio.enrolled_mixers import Asked
from convatlas.data.audio.enrolment_clip import MIN_CLIP_SECONDS, check_clip
from convatlas.data.audio.extraction_data import (
    VECTOR,
    ExtractionData,
    ExtractionFacts,
    ExtractionSplit,
    Speaker,
)
from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.list_extraction import ENROLMENT, holds_extraction_list
from convatlas.data.audio.open_extraction import (
    LAYOUTS,
    Enrolling,
    open_extraction,
    open_extraction_test,
)
from convatlas.data.audio.sound_file import duration
from convatlas.data.audio.speaker_vector import check_vector, read_vector
from convatlas.data.audio.stored_extraction import learnt_from, load_extraction
from convatlas.deploy.extractor import Extractor, VectorExtractor
from convatlas.errors import DataError
from convatlas.explain.signals.extracted import COLUMNS, ExtractedVoice, csv_columns
from convatlas.explain.signals.extraction import ExtractionEvaluation
from convatlas.explain.signals.speech_quality import SpeechQuality, judged_places
from convatlas.models.registry import Entry
from convatlas.search.space import width_sweeps
from convatlas.tasks.mixture_task import MixtureTask
from convatlas.tasks.onnx_extract_snippet import extract_runtime_code
from convatlas.tasks.reopened import agreeing
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.extracted import show_extracted
from convatlas.tasks.sounds import MAX_KEPT
from convatlas.tasks.trial_voices import TrialExtraction
from convatlas.tasks.voice_options import (
    LIMITS,
    check_voice_options,
    given_options,
)
from convatlas.text import printable
from convatlas.train.recipe import Recipe
from convatlas.train.signal_losses import si_snr
from convatlas.train.tasks.extract import SI_SDRI

NUMBERS = {**LIMITS, "clip_seconds": (MIN_CLIP_SECONDS, 60.0)}
WORDS = {"speaker": get_args(Speaker), "single": ("leave", "halve")}
SPEAKER_WORDS = {"trained": "a trained embedding", "statistics": "statistics of its mel bands"}
VECTOR_WORDS = "a vector of {:,} numbers from elsewhere"
RECIPE = Recipe(lr=1e-3, weight_decay=0.01, batch_size=8, clip_norm=5.0)


class ExtractSpeaker(MixtureTask[ExtractionData, ExtractionEvaluation]):
    """Extract the voice of one speaker."""

    name = "extract"
    metric = SI_SDRI
    layouts = LAYOUTS
    columns = COLUMNS
    next = "pairs.csv"
    asking = "Extract from new mixtures, each with a clip of the speaker"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return holds_extraction_list(Path(source))

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_voice_options(options, NUMBERS, WORDS)

    def open(self, source, *, seed, max_broken, options, progress) -> ExtractionData:
        return open_extraction(
            source,
            seed=seed,
            max_broken=max_broken,
            enrolling=Enrolling(**given_options(options)),
            progress=progress,
            kept=KeptSounds(),
        )

    def open_test(self, source, facts, *, max_broken, progress) -> ExtractionData:
        known = ExtractionFacts.model_validate(facts)
        return open_extraction_test(source, known, max_broken=max_broken, progress=progress)

    def reopen(self, stored, source, facts) -> ExtractionData:
        return agreeing(load_extraction(stored, source), stored, facts)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_from(stored)

    def check(self, facts, settings, run) -> None:
        known = ExtractionFacts.model_validate(facts)
        if settings:
            raise ValueError("settings: must be empty")
        expected = {"enrolment": known.speaker, "rate_hz": known.rate_hz}
        if known.speaker_features is not None:
            expected["speaker_features"] = known.speaker_features
        for option, value in expected.items():
            if run.options.get(option, value) != value:
                raise ValueError(f"options: {option} is {run.options[option]}, not {value}")

    def fresh(self, entries: Sequence[Entry], data: ExtractionData, *, fixed_width: bool):
        lengths = {"samples": data.seconds, "clip_samples": data.clip_seconds}
        options: dict[str, Any] = {"enrolment": data.speaker, "rate_hz": data.rate_hz}
        if data.speaker == VECTOR:
            del lengths["clip_samples"]
            options["speaker_features"] = data.speaker_features
        forms = [({name: round(each * data.rate_hz) for name, each in lengths.items()}, {})]
        return {
            entry.name: width_sweeps(entry, options=options, forms=forms, fixed_width=fixed_width)
            for entry in entries
        }

    def input_words(self, example) -> str:
        told = f"clip of {example['clip_samples']:,}" if "clip_samples" in example else "vector"
        return f"{example['samples']:,} samples, {told}"

    def trial_data(self, data: ExtractionData, recipe, options, progress) -> TrialExtraction:
        return TrialExtraction(data, progress)

    def predictor(self, network: nn.Module, settings, facts) -> Extractor:
        known = ExtractionFacts.model_validate(facts)
        if known.speaker_features is not None:
            return VectorExtractor(network, known.rate_hz, known.seconds, known.speaker_features)
        return Extractor(network, known.rate_hz, known.seconds, known.clip_seconds)

    def small(self, item: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        mixture, clip = (part[:MAX_KEPT].contiguous() for part in item)
        return mixture, clip

    def predict(self, predictor, asked, facts, progress):
        known = ExtractionFacts.model_validate(facts)
        found = find_pairs(asked, VECTOR if known.speaker == VECTOR else ENROLMENT)
        listed = found if isinstance(asked, Iterator) else list(found)
        total = len(listed) if isinstance(listed, list) else None
        return total, (self._voice(predictor, pair, known) for pair in listed)

    def _voice(self, predictor, pair: AskedPair, facts: ExtractionFacts) -> ExtractedVoice:
        named = (pair.mixture.name, pair.clip.name, facts.rate_hz)
        if pair.error is not None:
            return ExtractedVoice(*named, error=pair.error)
        try:
            told = _told(pair, facts)
            mixture = pair.mixture.read(facts.rate_hz, facts.max_seconds)
        except DataError as error:
            return ExtractedVoice(*named, error=str(error))
        voice = predictor().predict([(mixture, told)])[0]
        if not bool(torch.isfinite(voice).all()):
            reason = f"{pair.mixture.name}: the network's answer is not a finite number"
            return ExtractedVoice(*named, error=reason)
        return ExtractedVoice.of(named[0], named[1], voice, facts.rate_hz)

    def evaluate(self, predictor, split: ExtractionSplit, facts, progress) -> ExtractionEvaluation:
        bar = progress.bar("testing", len(split), unit=self.items)
        before, after, right, swapped = [], [], [], []
        names, rate_hz = split.files, ExtractionFacts.model_validate(facts).rate_hz
        quality, judged_by = SpeechQuality(rate_hz), judged_places(len(split))
        for place, name in enumerate(names):
            asked = split.asked(place)
            found = _answer(predictor, asked.mixture, asked.clip, name)
            before.append(_near(asked.mixture, asked.voice))
            after.append(_near(found, asked.voice))
            right.append(bool(after[-1] > _near(found, asked.other)))
            if place in judged_by:
                quality.add(asked.mixture, found, asked.voice)
            if asked.other_clip is None:
                swapped.append(None)
            else:
                other = _answer(predictor, asked.mixture, asked.other_clip, name)
                swapped.append(bool(_near(other, asked.other) > _near(other, asked.voice)))
            bar.update(place + 1)
        bar.close()
        judged = ExtractionEvaluation(
            names, torch.stack(before), torch.stack(after), right, swapped, quality.means()
        )
        shown = {
            place: _both(predictor, split.asked(place), names[place]) for place in judged.telling
        }
        return replace(judged, shown=shown)

    def csv_columns(self, top: int) -> list[str]:
        return csv_columns()

    def describe_facts(self, facts) -> list[tuple[str, str]]:
        return [("voices", str(facts["voices"])), ("speaker", _speaker_words(facts))]

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        words = _speaker_words(facts)
        if facts["speaker"] != VECTOR:
            words += f", of clips of {duration(facts['clip_seconds'])} while it learnt"
        return [
            ("heard at", f"{facts['rate_hz']:,} Hz, one channel"),
            ("learnt in pieces of", duration(facts["seconds"])),
            ("speaker", words),
        ]

    def show(self, evaluation: ExtractionEvaluation, data: ExtractionData, scan) -> ReportContent:
        return show_extracted(evaluation, data)

    def runtime_code(self, path: Path, run) -> str:
        known = ExtractionFacts.model_validate(run.facts)
        return extract_runtime_code(path, known.rate_hz, by_vector=known.speaker == VECTOR)


def _told(pair: AskedPair, facts: ExtractionFacts) -> Tensor:
    """Return the clip, or the vector, of the wanted speaker."""
    if facts.speaker != VECTOR:
        clip = pair.clip.read(facts.rate_hz, facts.max_seconds)
        return check_clip(clip, facts.rate_hz, pair.clip.name)
    value, features = pair.clip.value, facts.speaker_features
    if isinstance(value, str):
        return read_vector(value, features=features)
    return check_vector(value, pair.clip.name, features)


def _speaker_words(facts: Mapping[str, Any]) -> str:
    if facts["speaker"] == VECTOR:
        return VECTOR_WORDS.format(facts["speaker_features"])
    return SPEAKER_WORDS[facts["speaker"]]


def _near(estimate: Tensor, voice: Tensor) -> Tensor:
    return si_snr(estimate, voice, zero_mean=False)


def _answer(predictor, mixture: Tensor, clip: Tensor, name: str) -> Tensor:
    found = predictor.predict([(mixture, clip)])[0]
    if not bool(torch.isfinite(found).all()):
        raise DataError(f"the network's answer is not a finite number for {printable(name)}")
    return found


def _both(predictor, asked: Asked, name: str) -> tuple[Tensor, Tensor | None]:
    voice = _answer(predictor, asked.mixture, asked.clip, name)
    if asked.other_clip is None:
        return voice, None
    return voice, _answer(predictor, asked.mixture, asked.other_clip, name)


TASK = ExtractSpeaker()
