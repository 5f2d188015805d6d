"""What stands between a window of sound and the network: one definition for every use.

Training, evaluation, prediction and the exported file all run this module.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError, nearest
from convatlas.ops.loudness import equalise_loudness
from convatlas.ops.mel import MelSpectrogram
from convatlas.ops.mfcc import swishnet_mfcc
from convatlas.ops.spectrogram import Spectrogram
from convatlas.ops.spectrogram_bands import ThreeBands, ThreeWindows

LOG_MEL, CEPSTRA, THREE_BANDS, THREE_WINDOWS = "log_mel", "mfcc", "three_bands", "three_windows"
FRAME_S = 0.046  # of a frame, at least: low notes and narrow bands are told apart by it
LOW_HZ = 20.0  # below lies what microphones and buildings do
# Of the power of a tone at full scale; what is quieter counts as silence. Powers are scaled so that
# it is 1, because the ONNX exporter drops the addition of a constant as small as this one.
FLOOR = 1e-9
HANN_GAIN = 4.0  # divided by the samples of a frame: a tone at full scale gets a power of 1
PUBLISHED_FRAME, PUBLISHED_WINDOW = 2048, 1654  # of ESResNet
MIN_FEATURE_STD = 1e-3


class LogMelImage(nn.Module):
    """Logarithms of mel bands as a square image: `size` bands by `size` columns; silence is 0.

    Frames that fall into one column are averaged, so that no part of the sound is skipped.

    Args:
        rate_hz: of the waveform.
        samples: of a window.
        size: bands and columns.

    Shape: (n, samples) -> (n, 1, size, size)

    Raises:
        UsageError: the window has fewer samples than columns.
    """

    def __init__(self, rate_hz: int, samples: int, size: int):
        super().__init__()
        if samples < size:
            raise UsageError(f"LogMelImage: {samples} samples for {size} columns")
        frame = 1 << (round(FRAME_S * rate_hz) - 1).bit_length()
        column = samples // size
        self.size, self.scale = size, HANN_GAIN / frame / math.sqrt(FLOOR)
        self.together = -(-2 * column // frame)  # frames in a column: they overlap by half
        hop = column // self.together
        self.before = max(0, (frame - hop) // 2)
        # As many frames as columns, whatever is left over at the end.
        self.length = (size * self.together - 1) * hop + frame
        self.mel = MelSpectrogram(
            Spectrogram(frame, hop, padding="none"),
            rate_hz,
            size,
            low_hz=LOW_HZ,
            equal_area=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        behind = self.length - self.before - x.shape[1]
        padded = nn.functional.pad(x, (self.before, max(0, behind)))[:, : self.length]
        bands = self.mel(padded * self.scale).unflatten(2, (self.size, self.together)).mean(3)
        return torch.log(bands + 1)[:, None]


class SquareBands(nn.Module):
    """The three bands of ESResNet as a square image. Shape: (n, samples) -> (n, 3, size, size)"""

    def __init__(self, samples: int, size: int):
        super().__init__()
        frame = 6 * size
        self.size = size
        window = round(frame * PUBLISHED_WINDOW / PUBLISHED_FRAME)
        self.bands = ThreeBands(frame, max(1, samples // size), window)

    def forward(self, x: Tensor) -> Tensor:
        return self.bands(x)[..., : self.size]


class EqualLoudness(nn.Module):
    """Even out the loudness within a window of sound. Shape: (n, samples) -> (n, samples)"""

    def __init__(self, rate_hz: int):
        super().__init__()
        self.rate_hz = rate_hz

    def forward(self, x: Tensor) -> Tensor:
        return equalise_loudness(x, self.rate_hz)


FRONTS: dict[str, Callable[[int, int, int], nn.Module]] = {
    LOG_MEL: LogMelImage,
    CEPSTRA: lambda rate_hz, samples, size: swishnet_mfcc(rate_hz),
    THREE_BANDS: lambda rate_hz, samples, size: SquareBands(samples, size),
    THREE_WINDOWS: lambda rate_hz, samples, size: ThreeWindows(rate_hz, (size, size)),
}


class SoundFeatures(nn.Module):
    """Compute a front end and subtract mean and deviation.

    Args:
        rate_hz: of the waveform.
        front: `log_mel`, `mfcc`, `three_bands` or `three_windows`.
        samples: of a window.
        size: of the image; cepstra have none.
        mean: of each channel of the features, over training sounds.
        std: of the same.
        equal_loudness: whether the loudness of a window is evened out before.

    Shape: (n, samples) -> (n, c, h, w), or (n, c, frames) for cepstra

    Raises:
        UsageError: no such front end, or a size that the window cannot have.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        rate_hz: int,
        front: str,
        samples: int,
        size: int = 0,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        *,
        equal_loudness: bool = False,
    ):
        super().__init__()
        if front not in FRONTS:
            raise UsageError(f"SoundFeatures: no front end '{front}'{nearest(front, FRONTS)}")
        self.kind, self.samples, self.size = front, samples, size
        heard = FRONTS[front](rate_hz, samples, size)
        self.front = nn.Sequential(EqualLoudness(rate_hz), heard) if equal_loudness else heard
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalise(self.front(x))

    def normalise(self, features: Tensor) -> Tensor:
        """Return features with mean 0 and deviation 1. Shape: (n, c, ...) -> the same"""
        shape = (-1, *[1] * (features.ndim - 2))
        mean, std = (each.to(features.device).view(shape) for each in (self.mean, self.std))
        return (features.float() - mean) / std

    def settings(self) -> dict[str, Any]:
        """Return the arguments that build this module again beside the rate, for JSON."""
        made = {"front": self.kind, "samples": self.samples, "size": self.size}
        return made | {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def fit(
        cls,
        features: Tensor,
        rate_hz: int,
        form: Mapping[str, Any],
        *,
        equal_loudness: bool = False,
    ) -> "SoundFeatures":
        """Measure mean and deviation of each channel. Shape: features (n, c, ...)"""
        channels = features.transpose(0, 1).flatten(1).double()
        std = channels.std(dim=1).clamp(min=MIN_FEATURE_STD)
        rounded = [[round(v, 5) for v in each.tolist()] for each in (channels.mean(dim=1), std)]
        mean, std = rounded
        return cls(rate_hz, **form, mean=mean, std=std, equal_loudness=equal_loudness)
