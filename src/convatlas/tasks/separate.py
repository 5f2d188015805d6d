"""A mixture of voices in, each voice alone out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.audio.asked import AskedSound, find_asked
from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.list_voices import LAYOUTS, holds_mixtures
from convatlas.data.audio.open_voices import Mixing, open_voice_test, open_voices
from convatlas.data.audio.sound_file import duration
from convatlas.data.audio.stored_voices import learnt_from, load_voices
from convatlas.data.audio.voice_data import VoiceData, VoiceFacts, VoiceSplit
from convatlas.deploy.separator import Separator
from convatlas.errors import DataError
from convatlas.explain.signals.separation import SeparationEvaluation
from convatlas.explain.signals.speech_quality import SpeechQuality, judged_places
from convatlas.explain.signals.voices import COLUMNS, Voices, csv_columns
from convatlas.models.registry import Entry
from convatlas.search.space import width_sweeps
from convatlas.tasks.mixture_task import MixtureTask
from convatlas.tasks.onnx_voices_snippet import voices_runtime_code
from convatlas.tasks.reopened import agreeing
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.voices import show_voices
from convatlas.tasks.sounds import MAX_KEPT
from convatlas.tasks.trial_voices import TrialVoices
from convatlas.tasks.voice_options import (
    LIMITS,
    check_voice_options,
    given_options,
)
from convatlas.text import printable
from convatlas.train.recipe import Recipe
from convatlas.train.signal_losses import separation, si_snr
from convatlas.train.tasks.separate import SI_SNRI

RECIPE = Recipe(lr=1e-3, weight_decay=0.01, batch_size=16, clip_norm=5.0)


class SeparateVoices(MixtureTask[VoiceData, SeparationEvaluation]):
    """Separate the voices of a mixture."""

    name = "separate"
    metric = SI_SNRI
    layouts = LAYOUTS
    columns = COLUMNS
    next = "mixture.wav"
    asking = "Separate new mixtures"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return holds_mixtures(Path(source))

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_voice_options(options, LIMITS, names=("background",))

    def open(self, source, *, seed, max_broken, options, progress) -> VoiceData:
        return open_voices(
            source,
            seed=seed,
            max_broken=max_broken,
            mixing=Mixing(**given_options(options)),
            progress=progress,
            kept=KeptSounds(),
        )

    def open_test(self, source, facts, *, max_broken, progress) -> VoiceData:
        known = VoiceFacts.model_validate(facts)
        return open_voice_test(source, known, max_broken=max_broken, progress=progress)

    def reopen(self, stored, source, facts) -> VoiceData:
        return agreeing(load_voices(stored, source), stored, facts)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_from(stored)

    def check(self, facts, settings, run) -> None:
        known = VoiceFacts.model_validate(facts)
        if settings:
            raise ValueError("settings: must be empty")
        if run.options.get("speakers", known.voices) != known.voices:
            raise ValueError(f"options: speakers is {run.options['speakers']}, not {known.voices}")

    def fresh(self, entries: Sequence[Entry], data: VoiceData, *, fixed_width: bool):
        samples = round(data.seconds * data.rate_hz)
        forms = [({"samples": samples}, {})]
        options = {"speakers": data.voices}
        return {
            entry.name: width_sweeps(entry, options=options, forms=forms, fixed_width=fixed_width)
            for entry in entries
        }

    def input_words(self, example) -> str:
        return f"{example['samples']:,} samples"

    def trial_data(self, data: VoiceData, recipe, options, progress) -> TrialVoices:
        return TrialVoices(data, progress)

    def predictor(self, network: nn.Module, settings, facts) -> Separator:
        known = VoiceFacts.model_validate(facts)
        return Separator(
            network, known.rate_hz, known.voices, known.seconds, background=known.background
        )

    def small(self, item: Tensor) -> Tensor:
        return item[:MAX_KEPT].contiguous()

    def predict(self, predictor, asked, facts, progress):
        found = find_asked(asked, progress)
        listed = found if isinstance(asked, Iterator) else list(found)
        total = len(listed) if isinstance(listed, list) else None
        known = VoiceFacts.model_validate(facts)
        return total, (self._voices(predictor, sound, known) for sound in listed)

    def _voices(self, predictor, sound: AskedSound, facts: VoiceFacts) -> Voices:
        if sound.error is not None:
            return Voices(sound.name, facts.rate_hz, error=sound.error)
        try:
            mixture = sound.read(facts.rate_hz, facts.max_seconds)
        except DataError as error:
            return Voices(sound.name, facts.rate_hz, error=str(error))
        voices = predictor().predict([mixture])[0]
        if not bool(torch.isfinite(voices).all()):
            reason = f"{sound.name}: the network's answer is not a finite number"
            return Voices(sound.name, facts.rate_hz, error=reason)
        return Voices.of(sound.name, voices, facts.rate_hz, names=facts.names)

    def evaluate(self, predictor, split: VoiceSplit, facts, progress) -> SeparationEvaluation:
        bar = progress.bar("testing", len(split), unit=self.items)
        known = VoiceFacts.model_validate(facts)
        before, after = [], []
        quality, judged_by = SpeechQuality(known.rate_hz), judged_places(len(split))
        for place in range(len(split)):
            mixture, voices = split.pair(place)
            found = predictor.predict([mixture])[0]
            if not bool(torch.isfinite(found).all()):
                raise DataError(
                    "the network's answer is not a finite number for "
                    f"{printable(split.files[place])}"
                )
            before.append(si_snr(mixture, voices).mean())
            best = separation(found[None], voices[None], fixed=known.fixed)
            after.append(best.value[0])
            if place in judged_by:
                _judge(quality, mixture, found[best.order[0]], voices, known)
            bar.update(place + 1)
        bar.close()
        judged = SeparationEvaluation(
            split.files, torch.stack(before), torch.stack(after), quality.means()
        )
        shown = {place: predictor.predict([split.read(place)])[0] for place in judged.telling}
        return replace(judged, shown=shown)

    def csv_columns(self, top: int) -> list[str]:
        return csv_columns(top)

    def describe_facts(self, facts) -> list[tuple[str, str]]:
        known = VoiceFacts.model_validate(facts)
        rows = [("voices", str(known.voices))]
        return rows if known.background is None else [*rows, ("the last one", known.background)]

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        return [
            ("heard at", f"{facts['rate_hz']:,} Hz, one channel"),
            ("learnt in pieces of", duration(facts["seconds"])),
        ]

    def show(self, evaluation: SeparationEvaluation, data: VoiceData, scan) -> ReportContent:
        return show_voices(evaluation, data)

    def runtime_code(self, path: Path, run) -> str:
        known = VoiceFacts.model_validate(run.facts)
        return voices_runtime_code(path, known.rate_hz, known.names)


def _judge(
    quality: SpeechQuality, mixture: Tensor, found: Tensor, voices: Tensor, facts: VoiceFacts
) -> None:
    """Measure the voices of speakers, which are before a background."""
    for place in range(facts.voices - facts.fixed):
        quality.add(mixture, found[place], voices[place])


TASK = SeparateVoices()
