"""Losses that are no numbers: noticed in the step itself, on an accelerator in the next."""

import math
from collections import deque
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

MAX_SKIPPED = 20  # steps in a row without a number: the weights themselves are none by then


class LossCheck:
    """Looks at losses as soon as that costs no wait.

    Asking an accelerator for a number waits until it has computed it. Its answer about a step is
    therefore read when the next one has been handed to it.

    Args:
        device: where losses are computed.
        at_once: wait for each, so that its step can be left out.
    """

    def __init__(self, device: torch.device, *, at_once: bool):
        self._device, self._later = device, device.type != "cpu" and not at_once
        self._waiting: deque[tuple[int, Callable[[], float]]] = deque()

    def first_bad(self, step: int, loss: Tensor) -> tuple[int, float] | None:
        """Return the step whose loss is no finite number, and that loss; None while all are.

        Args:
            step: that `loss` is of.
        """
        self._waiting.append((step, self._asked(loss.detach())))
        return self._look(int(self._later))

    def rest(self) -> tuple[int, float] | None:
        """Return the same of the steps that were not looked at yet."""
        return self._look(0)

    def _look(self, left: int) -> tuple[int, float] | None:
        while len(self._waiting) > left:
            number, value = self._waiting.popleft()
            if not math.isfinite(found := value()):
                return number, found
        return None

    def _asked(self, loss: Tensor) -> Callable[[], float]:
        """Ask for a number now; what is returned waits for it, and for nothing behind it."""
        if not self._later or self._device.type != "cuda":
            return partial(float, loss)
        copied = torch.empty((), dtype=loss.dtype, pin_memory=True)
        copied.copy_(loss, non_blocking=True)
        there = torch.cuda.Event()
        there.record()

        def value() -> float:
            there.synchronize()
            return float(copied)

        return value


def finite_gradients(model: nn.Module) -> bool:
    """Return whether all gradients are finite numbers."""
    found = [torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None]
    return not found or bool(torch.stack(found).all())
