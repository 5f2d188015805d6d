"""What the report shows of extracted voices: pictures of them, and the sounds to be played."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.audio.extraction_data import VECTOR, ExtractionData
from convatlas.errors import DataError
from convatlas.explain.signals.extraction import ExtractionEvaluation
from convatlas.explain.sounds import spectrogram_and_sound
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.page import render
from convatlas.tasks.sections.voices import made_of

NOTE = (
    "each with the clip that says who is wanted, the voice that came out, and the true one; where "
    "there is a clip of the other speaker, also what comes out for that"
)
VECTOR_NOTE = (
    "each with the voice that came out for the speaker's vector, and the true one; where there is "
    "a vector of the other speaker, also what comes out for that"
)


def show_extracted(evaluation: ExtractionEvaluation, data: ExtractionData) -> ReportContent:
    """Return the parts of the report: headline, mixtures to see and hear, what they are made of."""
    low, high = evaluation.interval
    gain = evaluation.figures["si_sdri_db"]
    notes = [
        f"between {low:.2f} and {high:.2f} dB with 95 % confidence",
        f"the right speaker comes out in {evaluation.picked.words()}",
    ]
    if evaluation.followed is not None:
        told = "vector" if data.speaker == VECTOR else "clip"
        notes.append(
            f"the other speaker's {told} brings out the other voice in "
            f"{evaluation.followed.words()}"
        )
    if evaluation.not_extracted:
        notes.append(
            f"{evaluation.not_extracted} of {len(evaluation)} mixtures under 1 dB: not extracted"
        )
    return ReportContent(
        sentence=f"It makes the wanted voice of {len(evaluation):,} unseen mixtures {gain:.1f} dB "
        "clearer (SI-SDR).",
        notes=notes,
        sections=[_voices(evaluation, data)],
        data=made_of(data),
    )


def _voices(evaluation: ExtractionEvaluation, data: ExtractionData) -> Section:
    places = evaluation.telling
    shown = [each for place in places if (each := _mixture(evaluation, data, place)) is not None]
    note = VECTOR_NOTE if data.speaker == VECTOR else NOTE
    values: Mapping[str, Any] = {"total": len(evaluation), "shown": shown, "note": note}
    return Section("voices", "Voices", lambda pictures: render("voices.html.j2", values))


def _mixture(
    evaluation: ExtractionEvaluation, data: ExtractionData, place: int
) -> tuple[str, float, float, list[tuple[str, str, str]]] | None:
    try:
        asked = data.splits["test"].asked(place)
    except (DataError, OSError):  # the data may be gone: the rest of the report stands
        return None
    sounds = [("the mixture", asked.mixture)]
    if data.speaker != VECTOR:
        sounds.append(("clip of the speaker", asked.clip))
    found, other = evaluation.shown.get(place, (None, None))
    if found is not None:
        sounds.append(("extracted voice", found))
    sounds.append(("true voice", asked.voice))
    if other is not None and asked.other_clip is not None:
        if data.speaker == VECTOR:
            sounds.append(("extracted for the other speaker's vector", other))
        else:
            sounds.append(("clip of the other speaker", asked.other_clip))
            sounds.append(("extracted for that clip", other))
        sounds.append(("other true voice", asked.other))
    pictures = [(name, *spectrogram_and_sound(sound, data.rate_hz)) for name, sound in sounds]
    before, after = float(evaluation.before[place]), float(evaluation.after[place])
    return evaluation.files[place], before, after, pictures
