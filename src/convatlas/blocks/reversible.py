"""Layers whose input follows from their output, so that training need not keep it.

A coupling adds to one half of the channels what it computes from the other half; who knows the
result can compute the same again and subtract it. A sequence of couplings therefore keeps nothing
but its last output: the backward pass walks from it to the front, restoring each input just before
it is needed.

Source: Gomez et al., "The Reversible Residual Network", 2017, arXiv:1707.04585, section 3.2 and
    algorithm 1; Jacobsen et al., "i-RevNet", 2018, arXiv:1802.07088, section 3.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.func import functional_call
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.ops import downsample, upsample
from convatlas.ops.tracing import is_traced


class Coupling(nn.Module):
    """(a, b) -> (b, a + residue(b)), both halves first moved into a new shape without loss.

    Two of them in a row are one unit of RevNet: y1 = x1 + F(x2), y2 = x2 + G(y1).

    Args:
        residue: any network from b to the shape of a after it has been moved.
        block: side of the squares of pixels that become one pixel; 1 moves nothing.
        pad: channels of zeros behind those of each half.

    Shape: a, b (n, c, h, w) -> two of (n, block ** 2 * c + pad, h / block, w / block)

    Source: i-RevNet, section 3.1.
    """

    def __init__(self, residue: nn.Module, *, block: int = 1, pad: int = 0):
        super().__init__()
        self.residue = residue
        self.block, self.pad = block, pad

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.move(b), self.move(a) + self.residue(b)

    def inverse(self, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """Restore the halves that `forward` makes c and d of, as far as rounding lets it."""
        b = self.move_back(c)
        return self.move_back(d - self.residue(b)), b

    def move(self, x: Tensor) -> Tensor:
        """Move the pixels of each square into channels, and put zeros behind them."""
        x = x if self.block == 1 else downsample(x, self.block)
        return F.pad(x, (0, 0, 0, 0, 0, self.pad)) if self.pad else x

    def move_back(self, x: Tensor) -> Tensor:
        """Undo `move`; this is also its transpose, because values only change places."""
        x = x[:, : x.shape[1] - self.pad] if self.pad else x
        return x if self.block == 1 else upsample(x, self.block)


class ReversibleSequence(nn.Sequential):
    """Couplings one after the other, trained in the memory of one.

    In training the backward pass restores the input of each coupling from its output and runs its
    residue a second time. The gradients are those of plain autograd up to the rounding of the
    restored values, batch norm updates its running statistics once, and dropout draws the same
    numbers again. Evaluation, `torch.compile` and export take the plain way, which keeps inputs.

    Under autocast the two halves stay float32 (only the residues run in fewer bits), for what is
    rounded away cannot be restored.

    Args:
        couplings: in order.
        recompute: False keeps the inputs in training too: a third faster, memory grows with depth,
            and second derivatives can be taken.

    Shape: (n, 2 * c, h, w) -> what the couplings make of it, both halves concatenated

    Cost: the couplings' multiply-adds; a training step runs each residue once more.
    """

    def __init__(self, *couplings: Coupling, recompute: bool = True):
        super().__init__(*couplings)
        self.recompute = recompute

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # torch's name is `input`
        plain = is_traced(x) or not self.training
        if not plain and x.dtype != torch.float32 and _autocast_of(x).enabled:
            x = x.float()
        if not plain and self._recomputes(x):
            return _Recomputed.apply(self, x, *self.parameters())
        a, b = x.chunk(2, 1)
        for coupling in self.couplings:
            a, b = coupling(a, b)
        return torch.cat([a, b], 1)

    @property
    def couplings(self) -> list[Coupling]:
        """In order."""
        return cast(list[Coupling], list(self))

    def inverse(self, y: Tensor) -> Tensor:
        """Restore the input that `forward` makes y of; in evaluation, with fixed batch norm."""
        c, d = y.chunk(2, 1)
        for coupling in reversed(self.couplings):
            c, d = coupling.inverse(c, d)
        return torch.cat([c, d], 1)

    def _recomputes(self, x: Tensor) -> bool:
        if not (self.recompute and torch.is_grad_enabled()):
            return False
        if torch.compiler.is_compiling():
            return False
        return x.requires_grad or any(p.requires_grad for p in self.parameters())


class _Autocast(NamedTuple):
    """The state of autocast, as `torch.amp.autocast` takes it."""

    device_type: str
    dtype: torch.dtype
    enabled: bool


def _autocast_of(x: Tensor) -> _Autocast:
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind):
        return _Autocast("cpu", torch.bfloat16, False)
    return _Autocast(kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))


class _Recomputed(torch.autograd.Function):
    """A sequence of couplings that keeps its output, its weights and nothing between."""

    @staticmethod
    def forward(ctx: Any, sequence: ReversibleSequence, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.sequence = sequence
        ctx.modes = [module.training for module in sequence.modules()]
        ctx.autocast = _autocast_of(x)
        places = {id(weight): place for place, weight in enumerate(weights)}
        ctx.places = [_named_places(coupling.residue, places) for coupling in sequence.couplings]
        ctx.draws = []
        a, b = x.chunk(2, 1)
        # Autocast would keep copies of the weights made here without a gradient, and hand them to
        # the next one to use the weights: hence no cache.
        with torch.autocast(*ctx.autocast, cache_enabled=False):
            for coupling in sequence.couplings:
                before = _Draws.now(x.device)
                a, b = coupling(a, b)
                ctx.draws.append(before if before.differ() else None)
        y = torch.cat([a, b], 1)
        # As saved tensors, so that torch notices if they are changed before the backward.
        ctx.save_for_backward(y, *weights)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise UsageError(
                "ReversibleSequence: derivatives of a gradient (create_graph=True) must be taken "
                "with recompute=False"
            )
        y, *weights = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        sums: list[Tensor | None] = [None] * len(weights)
        c, d = map(_Half, y.chunk(2, 1), grad_outputs[0].chunk(2, 1))
        # So that the output's memory is free once both halves are restored; torch keeps it where
        # the graph is retained.
        ctx.maybe_clear_saved_tensors()
        del y
        with (
            _modes(ctx.sequence, ctx.modes),
            torch.autocast(*ctx.autocast, cache_enabled=False),
        ):
            steps = zip(ctx.sequence.couplings, ctx.places, ctx.draws, strict=True)
            for coupling, places, draws in reversed(list(steps)):
                own = {place: weights[place].detach() for place in places.values()}
                for place, weight in own.items():
                    weight.requires_grad_(needed[place])
                named = {name: own[place] for name, place in places.items()}
                wanted = [place for place in own if needed[place]]
                with _redrawn(draws):
                    c, d, grads = _step_back(coupling, c, d, named, [own[p] for p in wanted])
                for place, grad in zip(wanted, grads, strict=True):
                    sums[place] = _sum(sums[place], grad)
        return None, torch.cat([c.grad, d.grad], 1) if ctx.needs_input_grad[1] else None, *sums


@dataclass
class _Half:
    """Half of a state with its gradient, and which of the two may be written over."""

    value: Tensor
    grad: Tensor
    own_value: bool = False
    own_grad: bool = False

    def moved_back(self, coupling: Coupling) -> "_Half":
        value, grad = coupling.move_back(self.value), coupling.move_back(self.grad)
        own_value = self.own_value or not _share_memory(value, self.value)
        return _Half(value, grad, own_value, self.own_grad or not _share_memory(grad, self.grad))


def _share_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _step_back(
    coupling: Coupling, c: _Half, d: _Half, named: dict[str, Tensor], wanted: list[Tensor]
) -> tuple[_Half, _Half, Sequence[Tensor | None]]:
    """Go from outputs back to inputs and their gradients, and those of the wanted weights.

    The residue runs once, on copies of the buffers, so that no running statistic moves twice. What
    is no longer needed is written over, so that the memory is that of one coupling.
    """
    buffers = {name: buffer.clone() for name, buffer in coupling.residue.named_buffers()}
    b = c.moved_back(coupling)
    into = b.value.detach().requires_grad_()
    with torch.enable_grad():
        added = functional_call(coupling.residue, {**named, **buffers}, (into,))
    rest = d.value.sub_(added.detach()) if d.own_value else d.value - added.detach()
    edge, grad = get_gradient_edge(added), d.grad.to(added.dtype)
    del added  # so that its memory is free before the backward pass takes its own
    from_residue, *grads = torch.autograd.grad([edge], [into, *wanted], [grad], allow_unused=True)
    a = _Half(rest, d.grad, True, d.own_grad).moved_back(coupling)
    total = b.grad
    if from_residue is not None:
        total = total.add_(from_residue) if b.own_grad else total + from_residue
    return a, _Half(b.value, total, b.own_value, b.own_grad or from_residue is not None), grads


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def _named_places(residue: nn.Module, places: dict[int, int]) -> dict[str, int]:
    """Say which of the sequence's weights each name of a residue stands for."""
    named = residue.named_parameters(remove_duplicate=False)
    return {name: places[id(weight)] for name, weight in named}


@contextmanager
def _modes(sequence: nn.Module, modes: Sequence[bool]) -> Iterator[None]:
    """Set training flags as they were in the forward pass: they may have changed since."""
    modules = list(sequence.modules())
    now = [module.training for module in modules]
    try:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        yield
    finally:
        for module, mode in zip(modules, now, strict=True):
            module.training = mode


class _Draws(NamedTuple):
    """Where the generators of random numbers stand: the CPU's, and that of the tensor's device."""

    device: torch.device
    cpu: Tensor
    own: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "_Draws":
        own = None
        if device.type not in ("cpu", "meta"):
            own = torch.get_device_module(device).get_rng_state(device)
        return cls(device, torch.get_rng_state(), own)

    def differ(self) -> bool:
        """Say whether a number has been drawn since."""
        now = _Draws.now(self.device)
        pairs = [(self.cpu, now.cpu), (self.own, now.own)]
        return any(a is not None and b is not None and not torch.equal(a, b) for a, b in pairs)

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.own is not None:
            torch.get_device_module(self.device).set_rng_state(self.own, self.device)


@contextmanager
def _redrawn(draws: _Draws | None) -> Iterator[None]:
    """Draw the numbers of the forward pass again, then go on as if nothing had been drawn."""
    if draws is None:
        yield
        return
    now = _Draws.now(draws.device)
    draws.restore()
    try:
        yield
    finally:
        now.restore()
