"""Recordings of any length through a network that takes seconds: windows that overlap by half.

A separator numbers the voices of each window anew, so each window's voices are put into the order
of those before, by what they share in the half where both overlap; there the new ones fade in while
the old ones fade out. One window and what has not filled the next are all that is held.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import torch
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.train.signal_losses import best_order

Separate = Callable[[Tensor], Tensor]


def separate_long(
    separate: Separate,
    pieces: Iterable[Tensor],
    window: int,
    *,
    fit_levels: bool = True,
    fixed: int = 0,
) -> Iterator[Tensor]:
    """Yield the voices of a recording, piece by piece, as many samples in all as came in.

    Args:
        separate: (1, t) -> (1, s, t), such as a network in evaluation mode.
        pieces: the recording's samples in order, in pieces of any length.
        window: samples that the network sees at once, an even number.
        fit_levels: scale the voices of each window so that their sum is as near to the mixture as
            it can be: networks trained by SI-SNR leave the loudness open.
        fixed: number of the last voices that have the same place in all windows.

    Shape: pieces (t,) -> pieces (s, u)

    Raises:
        UsageError: an odd window, or one under 2 samples.
    """
    if window < 2 or window % 2:
        raise UsageError(f"separate_long: window must be an even number, got {window}")
    joined = _Joined(separate, window // 2, fit_levels, fixed)
    waiting: Tensor | None = None
    for piece in pieces:
        waiting = piece if waiting is None else torch.cat([waiting, piece])
        while len(waiting) > window:  # at least one sample stays, so that the end is known
            yield joined.take(waiting[:window])
            waiting = waiting[joined.half :]
    if waiting is None or not len(waiting):
        return
    last = torch.nn.functional.pad(waiting, (0, window - len(waiting)))
    yield torch.cat([joined.take(last), joined.rest()], dim=1)[:, : len(waiting)]


def separate_pieces(
    separate: Separate,
    pieces: Iterable[Tensor],
    window: int,
    *,
    min_samples: int,
    fit_levels: bool = True,
    fixed: int = 0,
) -> Iterator[Tensor]:
    """Yield the voices of a recording of any length: at once where it fits into a window.

    Args:
        min_samples: a shorter recording is filled with silence for the network.

    Shape: pieces (t,) -> pieces (s, u); the further arguments are those of `separate_long`
    """
    rest = iter(pieces)
    first = torch.cat([torch.zeros(0), *_until(rest, window)])
    if len(first) > window:
        whole = chain([first], rest)
        yield from separate_long(separate, whole, window, fit_levels=fit_levels, fixed=fixed)
    elif len(first):
        padded = torch.nn.functional.pad(first, (0, max(0, min_samples - len(first))))
        with torch.no_grad():
            yield separate(padded[None])[0][:, : len(first)]


def _until(pieces: Iterator[Tensor], samples: int) -> Iterator[Tensor]:
    """Yield pieces until there are more samples than this."""
    seen = 0
    for piece in pieces:
        yield piece
        seen += len(piece)
        if seen > samples:
            return


class _Joined:
    """Windows in order, each joined to the one before."""

    def __init__(self, separate: Separate, half: int, fit_levels: bool, fixed: int):
        self.separate, self.half, self.fit_levels = separate, half, fit_levels
        self.fixed = fixed
        self._fading: Tensor | None = None

    @torch.no_grad()
    def take(self, samples: Tensor) -> Tensor:
        """Separate one window; return its first half, joined. Shape: (2 half,) -> (s, half)"""
        voices = self.separate(samples[None])[0]
        if self.fit_levels:
            voices = _fitted(voices, samples)
        if self._fading is not None:
            voices = voices[_order(voices[:, : self.half], self._fading, self.fixed)]
        first, second = voices.split(self.half, dim=1)
        if self._fading is not None:
            rise = (torch.arange(self.half, device=voices.device) + 0.5) / self.half
            first = rise * first + (1 - rise) * self._fading
        self._fading = second
        return first

    def rest(self) -> Tensor:
        """Return the second half of the last window. Shape: -> (s, half)"""
        assert self._fading is not None
        return self._fading


def _order(new: Tensor, old: Tensor, fixed: int) -> Tensor:
    """Say which new voice goes on with each old one: those that are most alike."""
    tiny = torch.finfo(new.dtype).tiny
    pair = [x / x.norm(dim=1, keepdim=True).clamp(min=tiny) for x in (new, old)]
    return best_order((pair[0] @ pair[1].T)[None], fixed=fixed).order[0]


def _fitted(voices: Tensor, mixture: Tensor) -> Tensor:
    """Scale each voice so that the sum is nearest to the mixture, by least squares."""
    wide = voices.double()
    lengths = wide.norm(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    unit = wide / lengths  # so that voices of any loudness are solved for alike
    # The ridge makes the solution unique where a voice is silent or two are the same.
    ridge = 1e-9 * torch.eye(len(voices), dtype=wide.dtype, device=wide.device)
    gains = torch.linalg.solve(unit @ unit.T + ridge, unit @ mixture.double())
    return (unit * gains[:, None]).to(voices.dtype)
