"""Sounds inside a page: a picture of the spectrogram, and the sound itself to be played."""

import base64
import io

import numpy as np
import torch
from torch import Tensor

from convatlas.data.audio.features import LogMelImage
from convatlas.data.audio.packages import soundfile
from convatlas.explain.pictures import data_uri

BANDS = 64  # and columns of the picture
HEARD_S = 5.0  # of a sound, at the most
MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
RANGE = 9.0  # of the logarithm, below the loudest place: about 40 dB
DARK, MIDDLE, LIGHT = (13, 8, 60), (190, 55, 85), (252, 253, 191)


def spectrogram_uri(sound: Tensor, rate_hz: int) -> str:
    """Return a sound's spectrogram as an address. Shape: float32 (samples,)"""
    return data_uri(spectrogram(sound, rate_hz))


def spectrogram(sound: Tensor, rate_hz: int) -> Tensor:
    """Return a sound's log-mel spectrogram as a picture, low frequencies at the bottom.

    Shape: float32 (samples,) -> uint8 (3, bands, columns)
    """
    samples = max(len(sound), BANDS)
    padded = torch.nn.functional.pad(sound, (0, samples - len(sound)))
    bands = LogMelImage(rate_hz, samples, BANDS)(padded[None])[0, 0].flip(0)
    return colours(((bands - bands.max()) / RANGE + 1).clamp(0, 1))


def spectrogram_and_sound(sound: Tensor, rate_hz: int) -> tuple[str, str]:
    """Return both addresses of a sound. Shape: float32 (samples,)"""
    return spectrogram_uri(sound, rate_hz), sound_uri(sound, rate_hz)


def colours(values: Tensor) -> Tensor:
    """Return numbers from 0 to 1 as colours. Shape: (h, w) -> uint8 (3, h, w)"""
    dark, middle, light = (
        torch.tensor(each).view(3, 1, 1).float() for each in (DARK, MIDDLE, LIGHT)
    )
    lower, upper = (2 * values).clamp(max=1), (2 * values - 1).clamp(min=0)
    mixed = dark + lower * (middle - dark) + upper * (light - middle)
    return mixed.round().to(torch.uint8)


def sound_uri(sound: Tensor, rate_hz: int) -> str:
    """Return the first seconds of a sound as an address: MP3, or WAV where that cannot be.

    Shape: float32 (samples,)
    """
    samples = sound[: round(HEARD_S * rate_hz)].clamp(-1, 1).numpy()
    library, packed = soundfile(), io.BytesIO()
    if rate_hz in MP3_RATES and "MP3" in library.available_formats():
        library.write(packed, samples, rate_hz, format="MP3")
        kind = "mpeg"
    else:
        whole = np.rint(samples * 32767).astype(np.int16)
        library.write(packed, whole, rate_hz, format="WAV")
        kind = "wav"
    return f"data:audio/{kind};base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
