"""What the report shows of sounds: a spectrogram of each, with a player below it."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.audio.sound_data import Clips, SoundData
from convatlas.errors import DataError
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.explain.sounds import sound_uri, spectrogram_uri
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.classes import Shown, show_classes

MAX_SOUNDS = 40  # samples, all classes together: each is some ten kB of the page


def show_sounds(evaluation: Evaluation, data: SoundData, scan: Mapping[str, Any]) -> ReportContent:
    """Return the parts of the report: headline, confusion, mistakes, samples to see and hear."""

    def show(split: Clips, index: int) -> Shown | None:
        try:
            sound = split.read(index)
        except (DataError, OSError):
            return None
        return Shown(spectrogram_uri(sound, data.rate_hz), sound_uri(sound, data.rate_hz))

    return show_classes(evaluation, data, scan, show=show, most=MAX_SOUNDS)
