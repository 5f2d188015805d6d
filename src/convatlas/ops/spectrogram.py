"""Spectrogram: the power of each frequency in each short frame of a signal.

Plain products only (`RealDFT`), so that a waveform can go into the exported file.
"""

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError, nearest
from convatlas.ops.fourier import RealDFT
from convatlas.ops.framing import WINDOWS, cut_frames

Padding = Literal["none", "constant", "reflect"]


class Spectrogram(nn.Module):
    """Fade frames at their ends and take the power of each of their frequencies.

    Args:
        n_fft: samples of a frame; there are n_fft // 2 + 1 frequencies.
        hop: samples from one frame to the next.
        window: `hann`, `hamming` or `blackman_harris`.
        window_length: samples of the window, in the middle of the frame; n_fft where not given.
        padding: what stands around the signal, half a frame on both sides, so that frame i has
            its middle at sample i * hop: zeros (`constant`) or the signal mirrored (`reflect`);
            `none` takes whole frames only.
        normalized: divide amplitudes by the root of n_fft, as `torch.stft` does.

    Shape: (n, t) -> (n, n_fft // 2 + 1, frames); 1 + t // hop frames where it is padded and n_fft
        is even, else 1 + (t - n_fft) // hop

    Cost: as in `RealDFT`, for each frame.

    Raises:
        UsageError: no such window or padding, or a window longer than the frame.
    """

    faded: Tensor

    def __init__(
        self,
        n_fft: int,
        hop: int,
        *,
        window: str = "hann",
        window_length: int | None = None,
        padding: Padding = "constant",
        normalized: bool = False,
    ):
        super().__init__()
        length = n_fft if window_length is None else window_length
        if window not in WINDOWS:
            raise UsageError(f"Spectrogram: no window '{window}'{nearest(window, WINDOWS)}")
        if padding not in ("none", "constant", "reflect"):
            raise UsageError(f"Spectrogram: padding must be none, constant or reflect: {padding}")
        if not 1 <= length <= n_fft:
            raise UsageError(f"Spectrogram: a window of {length} samples in a frame of {n_fft}")
        self.n_fft, self.hop, self.padding = n_fft, hop, padding
        before = (n_fft - length) // 2
        faded = F.pad(WINDOWS[window](length), (before, n_fft - length - before))
        if normalized:
            faded = faded / math.sqrt(n_fft)
        self.register_buffer("faded", faded, persistent=False)
        self.transform = RealDFT(n_fft)

    def forward(self, x: Tensor) -> Tensor:
        if self.padding != "none":
            half = self.n_fft // 2
            x = F.pad(x[:, None], (half, half), mode=self.padding)[:, 0]
        real, imaginary = self.transform(cut_frames(x, self.n_fft, self.hop) * self.faded)
        return (real.square() + imaginary.square()).transpose(1, 2)
