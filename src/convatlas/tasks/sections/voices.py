"""What the report shows of separated voices: pictures of them, and the sounds to be played."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from convatlas.data.audio.extraction_data import ExtractionData
from convatlas.data.audio.voice_data import SPEAKERS, VoiceData
from convatlas.errors import DataError
from convatlas.explain.signals.separation import SeparationEvaluation
from convatlas.explain.sounds import spectrogram_and_sound
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.page import render
from convatlas.train.signal_losses import separation

NOTE = "each estimate stands beside the voice that it is nearest to"


def show_voices(evaluation: SeparationEvaluation, data: VoiceData) -> ReportContent:
    """Return the parts of the report: headline, mixtures to see and hear, what they are made of."""
    low, high = evaluation.interval
    gain = evaluation.figures["si_snri_db"]
    notes = [f"between {low:.2f} and {high:.2f} dB with 95 % confidence"]
    if evaluation.not_separated:
        notes.append(
            f"{evaluation.not_separated} of {len(evaluation)} mixtures under 1 dB: not separated"
        )
    return ReportContent(
        sentence=f"It makes the voices of {len(evaluation):,} unseen mixtures {gain:.1f} dB "
        "clearer (SI-SNR).",
        notes=notes,
        sections=[_voices(evaluation, data)],
        data=made_of(data),
    )


def _voices(evaluation: SeparationEvaluation, data: VoiceData) -> Section:
    places = evaluation.telling
    shown = [each for place in places if (each := _mixture(evaluation, data, place)) is not None]
    values: Mapping[str, Any] = {"total": len(evaluation), "shown": shown, "note": NOTE}
    return Section("voices", "Voices", lambda pictures: render("voices.html.j2", values))


def _mixture(
    evaluation: SeparationEvaluation, data: VoiceData, place: int
) -> tuple[str, float, float, list[tuple[str, str, str]]] | None:
    """One mixture, its voices, and the estimates in the order of the voices."""
    try:
        mixture, voices = data.splits["test"].pair(place)
    except (DataError, OSError):  # the data may be gone: the rest of the report stands
        return None
    sounds = [("the mixture", mixture)]
    estimates = evaluation.shown.get(place)
    fixed = int(data.background is not None)
    if estimates is not None:
        order = separation(estimates[None], voices[None], fixed=fixed).order[0].tolist()
        estimates = estimates[order]
    for number, voice in enumerate(voices, start=1):
        if estimates is not None:
            sounds.append((f"separated voice {number}", estimates[number - 1]))
        sounds.append((f"true voice {number}", voice))
    rate = data.rate_hz
    pictures = [(name, *spectrogram_and_sound(sound, rate)) for name, sound in sounds]
    before, after = float(evaluation.before[place]), float(evaluation.after[place])
    return evaluation.files[place], before, after, pictures


def made_of(data: VoiceData | ExtractionData) -> Markup:
    """Return what the mixtures of each split are made of."""
    made = "made here of" if data.layout == SPEAKERS else "read from"
    lines = [
        f"{name}: {len(split):,} mixtures, {made} {len(split.mixer.files):,} sounds"
        for name, split in data.splits.items()
    ]
    return Markup("<p>{}</p>").format(Markup("<br>").join(escape(line) for line in lines))
