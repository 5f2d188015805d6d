"""The options of a training run, all in one frozen place, saved with what they made."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from convatlas.errors import UsageError, nearest
from convatlas.train.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How a step changes the weights.

    Args:
        optimizer: `sgd`, `rmsprop` (TensorFlow's form), `adam` or `adamw`.
        lr: highest learning rate, reached at the end of the warm-up.
        pretrained_lr_fraction: of `lr`, for weights that were trained before; others get all of it.
        momentum: of SGD and RMSProp.
        nesterov: SGD's momentum is Nesterov's.
        squares_decay: of RMSProp's mean of squared gradients.
        betas: of Adam and AdamW.
        eps: of RMSProp, inside the root, and of Adam and AdamW; None takes 1e-10 and 1e-8.
        weight_decay: on filters and matrices, as `weight_decay.py` tells them by the kind of layer;
            never on biases, slopes and embeddings. AdamW's acts on the weights, that of the others
            on the gradient.
        depthwise_decay: share of it on depthwise filters, whose few weights need little.
        norm_decay: share of it on scales of norms.
        clip_norm: gradients with a larger norm are scaled down to it; 0 leaves them.
    """

    optimizer: Literal["sgd", "rmsprop", "adam", "adamw"] = "adamw"
    lr: float = 4e-3
    pretrained_lr_fraction: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    squares_decay: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float | None = None
    weight_decay: float = 0.1
    depthwise_decay: float = 0.1
    norm_decay: float = 0.0
    clip_norm: float = 1.0

    def step_checks(self) -> dict[str, bool]:
        """Return which fields have values that can be, by name."""
        return {
            "optimizer": self.optimizer in ("sgd", "rmsprop", "adam", "adamw"),
            "lr": 0 < self.lr < math.inf,
            "pretrained_lr_fraction": 0 <= self.pretrained_lr_fraction <= 1,
            "momentum": 0 <= self.momentum < 1,
            "nesterov": self.optimizer != "sgd" or not self.nesterov or self.momentum > 0,
            "squares_decay": 0 <= self.squares_decay < 1,
            "betas": len(self.betas) == 2 and all(0 <= each < 1 for each in self.betas),
            "eps": self.eps is None or 0 < self.eps < math.inf,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "depthwise_decay": 0 <= self.depthwise_decay <= 1,
            "norm_decay": 0 <= self.norm_decay <= 1,
            "clip_norm": 0 <= self.clip_norm < math.inf,
        }


@dataclass(frozen=True, kw_only=True)
class Recipe(Steps, Schedule):
    """How to train, whatever the task; which network and which data are not its business.

    Its fields are also those of `Steps` and `Schedule`, which say what they mean.

    Args:
        epochs: passes over the training split; a time limit may end them earlier.
        batch_size: images a step, over all processes.
        patience: passes without a better validation after which the run ends; 0 goes on.
        ema_decay: of the moving average of weights that is evaluated and kept; 0 keeps the last.
        seed: of the weights, the order of the examples and what is drawn at random.
        precision: `no`, `bf16` or `fp16`, as accelerate names them; `auto` takes bf16 or fp16 on a
            GPU that has units for it, else `no`.
        freeze: what keeps the weights that it starts from, as `frozen_parts` reads it: `none`, a
            number of stages, the name of a part, or `all-but-head`.
        freeze_until: share of the run after which that part is trained as well.
        on_nan: what a loss does that is no finite number: `stop` ends the run at that step, `skip`
            leaves the step out, unless 20 in a row have none.
    """

    epochs: float = 60
    batch_size: int = 64
    patience: float = 0
    ema_decay: float = 0.99
    seed: int = 0
    precision: Literal["no", "bf16", "fp16", "auto"] = "no"
    freeze: str = "none"
    freeze_until: float = 1.0
    on_nan: Literal["stop", "skip"] = "stop"

    def __post_init__(self) -> None:
        checks = {
            **self.step_checks(),
            **self.schedule_checks(),
            "epochs": 0 < self.epochs < math.inf,
            "batch_size": self.batch_size >= 1,
            "patience": self.patience >= 0,
            "ema_decay": 0 <= self.ema_decay < 1,
            "precision": self.precision in ("no", "bf16", "fp16", "auto"),
            "freeze_until": 0 < self.freeze_until <= 1,
            "on_nan": self.on_nan in ("stop", "skip"),
        }
        for name, holds in checks.items():
            if not holds:
                raise UsageError(f"Recipe: {name} cannot be {getattr(self, name)}")

    def with_options(self, **options: Any) -> "Recipe":
        """Return a copy with some fields changed.

        Raises:
            UsageError: no such field.
        """
        known = [field.name for field in fields(self)]
        for name in options:
            if name not in known:
                raise UsageError(f"Recipe: no option '{name}'{nearest(name, known)}")
        return replace(self, **options)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Recipe":
        """Return the recipe that `to_dict` gave, JSON or not.

        Raises:
            UsageError: no such field, or a value that cannot be.
        """
        tuples = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        try:
            return cls().with_options(**tuples)
        except TypeError as error:
            raise UsageError(f"Recipe: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name, as JSON gives them back."""
        values = asdict(self).items()
        return {name: list(each) if isinstance(each, tuple) else each for name, each in values}
