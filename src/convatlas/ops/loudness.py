"""Even out how loud a recording is, and leave its silence out.

Source: Hussain & Haque, "SwishNet", 2018, arXiv:1812.00149, section 3 (a window of 250 ms; the
    threshold is not stated there).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.framing import cut_frames

STEP_S = 0.01  # at which loudness is looked at
LEVEL = 0.1  # root mean square of the equalised sound; full scale is 1
FRAME_S = 0.025  # that is silent or not
QUIET = 1e-4  # root mean square that is not amplified further


def equalise_loudness(x: Tensor, rate_hz: float, *, window_s: float = 0.25) -> Tensor:
    """Scale each sample by the root mean square of the window around it.

    Loudness is averaged over steps of 10 ms and interpolated between them. What is almost
    silent stays so.

    Shape: (n, t) -> (n, t)

    Raises:
        UsageError: the sound is shorter than a step.
    """
    step = max(1, round(STEP_S * rate_hz))
    if x.shape[-1] < step:
        raise UsageError(f"equalise_loudness: must have {step} samples, got {x.shape[-1]}")
    reach = max(1, round(window_s / STEP_S)) // 2
    power = cut_frames(x, step, step).square().mean(-1)[:, None]
    power = F.avg_pool1d(power, 2 * reach + 1, 1, reach, count_include_pad=False)
    level = F.interpolate(power, x.shape[-1], mode="linear")[:, 0].clamp(min=QUIET**2).sqrt()
    return x * (LEVEL / level)


def remove_silence(
    x: Tensor, rate_hz: float, *, below_db: float = 40.0, frame_s: float = FRAME_S
) -> Tensor:
    """Keep the frames whose power is not far below that of the loudest one.

    Args:
        below_db: below the loudest frame, from where a frame counts as silent.

    Shape: (t,) -> (up to t,); a whole sound of silence stays as it is
    """
    frame = max(1, round(frame_s * rate_hz))
    whole = len(x) // frame * frame
    frames = x[:whole].reshape(-1, frame)
    if not len(frames):
        return x
    power = frames.square().mean(1)
    loud = power > power.max() * 10 ** (-below_db / 10)
    return torch.cat([frames[loud].flatten(), x[whole:]]) if bool(loud.any()) else x
