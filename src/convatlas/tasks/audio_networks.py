"""Which networks are tried on sounds: in front of which features, at which sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from convatlas.data.audio.features import CEPSTRA, LOG_MEL, THREE_BANDS, THREE_WINDOWS
from convatlas.data.audio.sound_data import SoundData
from convatlas.models.registry import Entry, find_entry
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.search.space import Candidate, width_sweeps
from convatlas.tasks.image_networks import Rows, at_sizes

SIZES = (128, 96, 64, 32)  # bands and columns of a spectrogram, as large as worth trying
MIN_COLUMN_S = 0.002  # seconds: finer columns than that tell nothing more
MFCC_STEP_S, MFCC_FRAME_S = 0.010, 0.025
OWN_FRONTS = {  # by the beginning of the name: what the paper's network reads
    "swishnet": CEPSTRA,
    "esresnet": THREE_BANDS,
    "densenet201_audio": THREE_WINDOWS,
}
CHANNELS = {LOG_MEL: 1, CEPSTRA: 20, THREE_BANDS: 3, THREE_WINDOWS: 3}


def front_of(name: str) -> str:
    """Return the front end of a network, by its name."""
    return next((front for own, front in OWN_FRONTS.items() if name.startswith(own)), LOG_MEL)


def fresh_networks(entries: Sequence[Entry], data: SoundData, *, fixed_width: bool) -> Rows:
    """Return each network with fresh weights, at the sizes and widths worth trying."""
    return {e.name: _sweeps(e, data, fixed_width=fixed_width) for e in entries}


def transfer_networks(checkpoints: Sequence[Checkpoint], data: SoundData) -> Rows:
    """Return each network that starts from weights learned on images, on spectrograms."""
    rows: Rows = {}
    for each in checkpoints:
        options = {"in_channels": CHANNELS[LOG_MEL], "num_classes": len(data.classes)}
        taken = {k: v for k, v in options.items() if k in find_entry(each.model).defaults}
        rows[each.model] = [
            [Candidate(each.model, {**each.options, **taken}, example, each)]
            for example in _forms(data.window_s)
        ]
    return rows


def form_of(candidate_name: str, example: Mapping[str, Any], rate_hz: int) -> dict[str, Any]:
    """Return front end, samples of a window and size of the features, for JSON."""
    samples = round(example["seconds"] * rate_hz)
    return {"front": front_of(candidate_name), "samples": samples, "size": example.get("size", 0)}


def _sweeps(entry: Entry, data: SoundData, *, fixed_width: bool) -> list[list[Candidate]]:
    front, seconds = front_of(entry.name), data.window_s
    options = {"in_channels": CHANNELS[front], "num_classes": len(data.classes)}
    if front == CEPSTRA:
        samples = round(seconds * data.rate_hz)
        frame, step = (round(s * data.rate_hz) for s in (MFCC_FRAME_S, MFCC_STEP_S))
        frames = 1 + (samples - frame) // step
        forms = [({"frames": frames, "seconds": seconds}, {})]
        return width_sweeps(entry, options=options, forms=forms, fixed_width=fixed_width)
    sweeps = at_sizes(entry, options, [f["size"] for f in _forms(seconds)], fixed_width=fixed_width)
    return [[_with_seconds(candidate, seconds) for candidate in sweep] for sweep in sweeps]


def _with_seconds(candidate: Candidate, seconds: float) -> Candidate:
    return replace(candidate, example={**candidate.example, "seconds": seconds})


def _forms(seconds: float) -> list[dict[str, Any]]:
    sizes = [size for size in SIZES if seconds / size >= MIN_COLUMN_S] or [SIZES[-1]]
    return [{"size": size, "seconds": seconds} for size in sizes]
