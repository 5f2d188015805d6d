"""How near an estimated signal is to the true one, and which estimate belongs to which voice.

Source: Luo, Mesgarani, "Conv-TasNet", 2019, arXiv:1809.07454, section III (SI-SNR and permutation
    invariant training); Le Roux et al., 2019, arXiv:1811.02508 (SI-SDR).
"""

from itertools import permutations
from typing import NamedTuple

import torch
from torch import Tensor

from convatlas.data.audio.voice_data import MAX_VOICES
from convatlas.errors import UsageError


class BestOrder(NamedTuple):
    """For each mixture the mean value under the best order, and the order.

    `order[i]` says which estimate belongs to voice i.
    """

    value: Tensor
    order: Tensor


def si_snr(
    estimate: Tensor, target: Tensor, *, zero_mean: bool = True, eps: float = 1e-8
) -> Tensor:
    """Return the scale-invariant signal-to-noise ratio in dB: the loudness does not count.

    10 log10(s.s / (e - s).(e - s)) of the estimate e, with s the target scaled to what e has of it.
    A silent target has no meaningful value.

    Args:
        estimate: signals; the target's axes are broadcast against theirs.
        zero_mean: take the mean from both first; without it this is SI-SDR.
        eps: added to the energies, so that silence gives no infinity.

    Shape: (..., t), (..., t) -> (...)

    Raises:
        UsageError: signals of different lengths.
    """
    if estimate.shape[-1] != target.shape[-1]:
        raise UsageError(
            f"si_snr: both signals must have the same length, got {estimate.shape[-1]} and "
            f"{target.shape[-1]} samples"
        )
    if zero_mean:
        estimate = estimate - estimate.mean(-1, keepdim=True)
        target = target - target.mean(-1, keepdim=True)
    scale = ((estimate * target).sum(-1, keepdim=True) + eps) / (
        target.square().sum(-1, keepdim=True) + eps
    )
    part = scale * target
    noise = (estimate - part).square().sum(-1)
    return 10 * ((part.square().sum(-1) + eps) / (noise + eps)).log10()


def best_order(values: Tensor, *, fixed: int = 0) -> BestOrder:
    """Choose for each mixture the order of the estimates whose mean value is largest.

    Args:
        fixed: number of the last estimates that stay where they are, such as a background.

    Shape: (n, s, s), value of estimate i against voice j -> (n,) and (n, s)

    Raises:
        UsageError: not as many estimates as voices, or more than 6.
    """
    if values.ndim != 3 or values.shape[1] != values.shape[2] or values.shape[1] > MAX_VOICES:
        raise UsageError(
            f"best_order: values must be (n, s, s) with s up to {MAX_VOICES}, got "
            f"{tuple(values.shape)}"
        )
    voices = values.shape[1]
    free, last = voices - fixed, tuple(range(voices - fixed, voices))
    orders = torch.tensor([o + last for o in permutations(range(free))], device=values.device)
    means = values[:, orders, torch.arange(voices, device=values.device)].mean(2)
    best, index = means.max(1)
    return BestOrder(best, orders[index])


def separation(estimates: Tensor, voices: Tensor, *, fixed: int = 0) -> BestOrder:
    """Return the SI-SNR in dB of each mixture's voices under their best order, and that order.

    The negative mean is the loss of permutation invariant training.

    Args:
        fixed: as in `best_order`.

    Shape: (n, s, t), (n, s, t) -> (n,) and (n, s)

    Raises:
        UsageError: as `si_snr` and `best_order`.
    """
    return best_order(si_snr(estimates.unsqueeze(2), voices.unsqueeze(1)), fixed=fixed)


def improvement(estimates: Tensor, voices: Tensor, mixture: Tensor, *, fixed: int = 0) -> Tensor:
    """Return by how many dB the SI-SNR of the voices is above that of the mixture itself.

    Args:
        fixed: as in `best_order`.

    Shape: (n, s, t), (n, s, t), (n, t) -> (n,)

    Raises:
        UsageError: as `separation`.
    """
    untouched = si_snr(mixture.unsqueeze(1), voices).mean(1)
    return separation(estimates, voices, fixed=fixed).value - untouched
