"""A causal Conv-TasNet on a recording that arrives piece by piece, of any length.

What is kept between two pieces does not grow: the samples of the unfinished window, what each
filter still has to see of the past, three numbers of each cumulative norm, and half a window of
output that the next one adds to. The pieces put together equal the answer to the whole recording.

Source: Luo, Mesgarani, "Conv-TasNet", 2019, arXiv:1809.07454, section II, its causal configuration.
"""

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.models.speech.conv_tasnet import ConvTasNet
from convatlas.models.speech.temporal_blocks import TemporalNet, TimeFilter
from convatlas.ops.layer_norms import CumulativeLayerNorm


class CausalStream:
    """Separates one recording, or several side by side, as their samples come.

    Args:
        model: causal, in evaluation mode.

    Raises:
        UsageError: a network that looks ahead or is in training mode.
    """

    def __init__(self, model: ConvTasNet):
        if model.training or not model.causal:
            raise UsageError(
                "CausalStream: the network must be causal and in evaluation mode; build it with "
                "norm='cumulative', causal=True and call .eval()"
            )
        self.model = model
        self.norm = _norm_state(model.norm)
        self.blocks = _BlocksState(model.blocks)
        self.waiting: Tensor | None = None  # samples of windows that are not complete
        self.half: Tensor | None = None  # output of the last window that the next one adds to
        self.seen = 0  # samples
        self.given = 0

    @torch.no_grad()
    def push(self, samples: Tensor) -> Tensor:
        """Take the next samples and return those of the voices that no later sample can change.

        They lag by at most one window, `filter_length` samples, behind what was taken.

        Shape: (n, t), t from 0 up -> (n, speakers, u)
        """
        basis = self.model.basis
        self.seen += samples.shape[1]
        waiting = samples if self.waiting is None else torch.cat([self.waiting, samples], dim=1)
        frames = max(0, (waiting.shape[1] - basis.length) // basis.hop + 1)
        self.waiting = waiting[:, frames * basis.hop :]
        if not frames:
            return samples.new_zeros(samples.shape[0], self.model.speakers, 0)
        voices = self._windows(waiting[:, : (frames - 1) * basis.hop + basis.length])
        if self.half is not None:
            voices[:, :, : basis.hop] += self.half
        self.half = voices[:, :, frames * basis.hop :].clone()
        self.given += frames * basis.hop
        return voices[:, :, : frames * basis.hop]

    def finish(self) -> Tensor:
        """Return the voices' last samples; nothing can be pushed afterwards.

        Shape: -> (n, speakers, u)

        Raises:
            UsageError: fewer samples than one window were pushed.
        """
        basis = self.model.basis
        if self.waiting is None or self.seen < basis.length:
            raise UsageError(
                f"CausalStream: a recording must have {basis.length} samples or more, got "
                f"{self.seen}"
            )
        end = self.seen
        rows = self.waiting.shape[0]
        last = self.push(self.waiting.new_zeros(rows, (basis.length - end) % basis.hop))
        assert self.half is not None
        rest = torch.cat([last, self.half], dim=2)
        return rest[:, :, : end - (self.given - last.shape[2])]

    def _windows(self, samples: Tensor) -> Tensor:
        """Separate whole windows, with what is known of those before."""
        model = self.model
        weights = model.basis.encode(samples)
        y = self.blocks(model.bottleneck(self.norm(weights)))
        return model.basis.decode(model.masked(weights, y), samples.shape[1])


class _BlocksState:
    """The blocks, each with the frames that its filter still has to see."""

    def __init__(self, blocks: TemporalNet):
        self.blocks = blocks
        places = range(len(blocks.mix_of))
        self.past: list[Tensor | None] = [None for _ in places]
        # Shared norms have shared weights, and sums of their own in each block.
        self.before = [_norm_state(blocks.parts(place)[1].before) for place in places]
        self.behind = [_norm_state(blocks.parts(place)[1].behind) for place in places]

    def __call__(self, x: Tensor) -> Tensor:
        total: Tensor | None = None
        for place in range(len(self.past)):
            mix, _, filter = self.blocks.parts(place)
            y = self._filtered(filter, place, self.before[place](mix.widen(x)))
            y = self.behind[place](y)
            if mix.skip is not None:
                skip = mix.skip(y)
                total = skip if total is None else total + skip
            if mix.residual is not None:
                x = x + mix.residual(y)
        return x if total is None else total

    def _filtered(self, filter: TimeFilter, place: int, y: Tensor) -> Tensor:
        dilation = self.blocks.dilation(place)
        reach = filter.reach * dilation
        past = self.past[place]
        y = torch.cat([y.new_zeros(*y.shape[:2], reach) if past is None else past, y], dim=2)
        self.past[place] = y[:, :, y.shape[2] - reach :]
        return filter.valid(y, dilation)


class _Cumulative:
    """A cumulative norm that goes on from the sums of the frames before."""

    def __init__(self, norm: CumulativeLayerNorm):
        self.norm = norm
        self.values = 0
        self.sum: Tensor | float = 0.0  # in double precision: a recording may last for hours
        self.square: Tensor | float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        seen = torch.arange(1, x.shape[2] + 1, device=x.device) * channels + self.values
        sums = x.sum(1, keepdim=True).double().cumsum(2) + self.sum
        squares = x.square().sum(1, keepdim=True).double().cumsum(2) + self.square
        self.values += x.shape[2] * channels
        self.sum, self.square = sums[:, :, -1:], squares[:, :, -1:]
        mean = sums / seen
        variance = (squares / seen - mean.square()).clamp(min=0)
        scale = (variance + self.norm.eps).rsqrt().to(x.dtype)
        y = (x - mean.to(x.dtype)) * scale
        return y * self.norm.weight[:, None] + self.norm.bias[:, None]


class _Chain:
    """Layers in a row, each with its state."""

    def __init__(self, layers: nn.Sequential):
        self.layers = [_norm_state(layer) for layer in layers]

    def __call__(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def _norm_state(layer: nn.Module) -> "_Chain | _Cumulative | nn.Module":
    if isinstance(layer, nn.Sequential):
        return _Chain(layer)
    return _Cumulative(layer) if isinstance(layer, CumulativeLayerNorm) else layer
