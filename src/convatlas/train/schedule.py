"""The learning rate over a run, as a function of the share of the run that is done.

A run that is shorter than another, or that its time limit ends, so goes through the whole schedule.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

SCHEDULES = Literal["cosine", "linear", "step", "exponential", "halving", "plateau", "constant"]
ROUNDING = 1e-9  # a share such as 0.3 is not exactly 60 of 200 epochs
HALVINGS = 4  # FractalNet: of 400 epochs at 200, 300, 350 and 375


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the rate goes.

    Args:
        schedule: after the warm-up `cosine` (half a period), `linear` (to the power of `lr_power`),
            `step` (times `lr_factor` at each of the `milestones`, or whenever `lr_every` has
            passed), `exponential` (the same without steps), `halving` (times `lr_factor` whenever
            the rest of the run has halved, four times), `plateau` (times `lr_factor` whenever
            `lr_every` has passed without a better validation), or `constant`.
        warmup: share of the run in which the rate climbs.
        warmup_start: share of `lr` that it climbs from.
        milestones: shares of the run, rising.
        lr_every: share of the run.
        lr_factor: what the rate is multiplied by.
        lr_power: of `linear`: polynomial decay.
        final_lr_fraction: share of `lr` that cosine and linear end at, and no schedule goes below.
    """

    schedule: SCHEDULES = "cosine"
    warmup: float = 0.1
    warmup_start: float = 0.0
    milestones: tuple[float, ...] = ()
    lr_every: float = 0.0
    lr_factor: float = 0.1
    lr_power: float = 1.0
    final_lr_fraction: float = 0.01

    def schedule_checks(self) -> dict[str, bool]:
        """Return which fields have values that can be, by name."""
        needs_every = self.schedule in ("exponential", "plateau") or (
            self.schedule == "step" and not self.milestones
        )
        inside = all(0 < each < 1 for each in self.milestones)
        return {
            "schedule": self.schedule in get_args(SCHEDULES),
            "warmup": 0 <= self.warmup < 1,
            "warmup_start": 0 <= self.warmup_start <= 1,
            "milestones": inside and list(self.milestones) == sorted(self.milestones),
            "lr_every": 0 < self.lr_every <= 1 if needs_every else 0 <= self.lr_every <= 1,
            "lr_factor": 0 < self.lr_factor < 1,
            "lr_power": 0 < self.lr_power < math.inf,
            "final_lr_fraction": 0 <= self.final_lr_fraction <= 1,
        }

    def rate(self, progress: float, dropped: float = 1.0) -> float:
        """Return the share of `lr` at a share of the run.

        Args:
            progress: in [0, 1].
            dropped: by which a `Plateau` has multiplied the rate so far.
        """
        if progress < self.warmup:
            climbed = progress / self.warmup
            return self.warmup_start + (1 - self.warmup_start) * climbed
        done = min(1.0, (progress - self.warmup) / (1 - self.warmup))
        end = self.final_lr_fraction
        if self.schedule == "cosine":
            return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "linear":
            return end + (1 - end) * (1 - done) ** self.lr_power
        return max(end, dropped * self.lr_factor ** self._divisions(progress))

    def _divisions(self, progress: float) -> float:
        """How many times the rate has been multiplied by the factor."""
        nearly = progress + ROUNDING
        if self.schedule == "step" and self.milestones:
            return sum(each <= nearly for each in self.milestones)
        if self.schedule == "step":
            return nearly // self.lr_every
        if self.schedule == "exponential":
            return progress / self.lr_every
        if self.schedule == "halving":
            return sum(1 - 0.5**n <= nearly for n in range(1, HALVINGS + 1))
        return 0


class Plateau:
    """Multiplies the rate where validation no longer improves, at the schedule `plateau` only.

    Attributes:
        dropped: by which the rate has been multiplied.
    """

    def __init__(self, schedule: Schedule):
        self._schedule, self._since, self.dropped = schedule, 0.0, 1.0

    def validated(self, done: float, best: float) -> None:
        """Take a validation into account.

        Args:
            done: share of the run.
            best: share of the run at which the best validation was.
        """
        if self._schedule.schedule != "plateau":
            return
        if done - max(self._since, best) >= self._schedule.lr_every - ROUNDING:
            self.dropped, self._since = self.dropped * self._schedule.lr_factor, done

    def values(self) -> dict[str, float]:
        """Return where it stands, for JSON."""
        return {"dropped": self.dropped, "since": self._since}

    def take(self, values: Mapping[str, float]) -> None:
        """Take over what `values` gave."""
        self.dropped, self._since = values["dropped"], values["since"]
