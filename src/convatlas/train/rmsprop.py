"""RMSProp as TensorFlow has it: the Inception, MobileNet and EfficientNet papers trained with it.

It differs from torch's in three points that matter with a large epsilon: epsilon stands inside the
root, the mean of squares starts at 1, and momentum sums steps that the rate is already in.

Source: tf.train.RMSPropOptimizer (`ApplyRMSProp`), which follows Tieleman and Hinton, lecture 6.5,
    2012; Szegedy et al., 2015, arXiv:1512.00567, section 8 (epsilon 1.0).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

EPS = 1e-10  # TensorFlow's


class RMSPropTF(Optimizer):
    """Steps by the gradient over the root of its mean square.

        s <- decay s + (1 - decay) g^2
        v <- momentum v + lr g / sqrt(s + eps)
        w <- w - v

    Args:
        params: as torch's optimisers take them.
        lr: learning rate.
        decay: of the mean of squares.
        eps: inside the root.
        weight_decay: added to the gradient as `weight_decay * w`.
    """

    def __init__(
        self,
        params: Any,
        *,
        lr: float,
        decay: float = 0.9,
        eps: float = EPS,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ):
        options = {"lr": lr, "decay": decay, "eps": eps, "momentum": momentum}
        super().__init__(params, {**options, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]  torch's has overloads
        """Take a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return loss

    def _move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["squares"] = torch.ones_like(weight)
            state["speed"] = torch.zeros_like(weight)
        if group["weight_decay"]:
            gradient = gradient.add(weight, alpha=group["weight_decay"])
        squares, speed = state["squares"], state["speed"]
        squares.lerp_(gradient.square(), 1 - group["decay"])
        step = gradient * (squares + group["eps"]).rsqrt()
        speed.mul_(group["momentum"]).add_(step, alpha=group["lr"])
        weight.sub_(speed)
