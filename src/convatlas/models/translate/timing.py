"""A signal that tells a network where in a sequence it is: sines of many wavelengths.

Source: Kaiser, Gomez, Chollet, 2017, arXiv:1706.03059, section 3.2, and tensor2tensor's
        `add_timing_signal_1d` for the repository's form.
"""

import math

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option

FORMS = ("interleaved", "repository")
LONGEST = 1e4  # wavelength of the slowest sine over 2 pi, in steps
REPOSITORY_SCALES = 16


class TimingSignal(nn.Module):
    """Sine and cosine of the place, at rates from 1 to about 1 / 10,000 a step.

    Args:
        channels: an even number.
        form: `interleaved` as in the paper, sine and cosine in turn, with as many rates as half the
            channels; `repository`: 16 rates, all sines, all cosines, then zeros.

    Shape: (n, l) places from 0 on -> (n, channels, l)

    Raises:
        UsageError: no such form.
    """

    rates: Tensor

    def __init__(self, channels: int, form: str = "interleaved"):
        super().__init__()
        check_option("TimingSignal", "form", form, FORMS)
        self.interleaved, half = form == "interleaved", channels // 2
        count = half if self.interleaved else min(half, REPOSITORY_SCALES)
        last = count if self.interleaved else max(1, count - 1)  # the exponent that would be 1
        powers = torch.arange(count) / last
        self.register_buffer("rates", (-math.log(LONGEST) * powers).exp(), persistent=False)
        self.missing = channels - 2 * count

    def forward(self, places: Tensor) -> Tensor:
        angles = places.to(self.rates.dtype).unsqueeze(2) * self.rates
        waves = (angles.sin(), angles.cos())
        if self.interleaved:
            return torch.stack(waves, dim=3).flatten(2).transpose(1, 2)
        signal = torch.cat(waves, dim=2)
        return nn.functional.pad(signal, (0, self.missing)).transpose(1, 2)
