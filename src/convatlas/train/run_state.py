"""All that changes while a network trains, as a checkpoint holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from convatlas.errors import DataError
from convatlas.text import printable
from convatlas.train.best import BestWeights
from convatlas.train.checkpoint import Checkpoint
from convatlas.train.log import RunLog
from convatlas.train.random_draws import generator_states, restore_generators
from convatlas.train.recipe import Recipe
from convatlas.train.schedule import Plateau
from convatlas.train.trained import Trained

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer

NETWORK, AVERAGE, BEST = "network", "average", "best"  # of the tensors in a checkpoint
OPTIMIZER, RANDOM, LOSSES = "optimizer", "random", "losses"
MAX_NAMED_OPTIONS = 3  # of recipes that differ, in a message


@dataclass
class RunState:
    """The pieces of a run, and where it stands.

    Args:
        network: as it is without what accelerate wraps around it.
        epoch: passes that are over, judged if they were to be.
        place: batches of the pass in hand that are over.
        done: share of the run.
        closing_s: seconds that the last validation took, or the next is expected to take.
        validated_s: of the run, when it was last validated.
        losses: of the steps since the last row of the log.
        all_learn: parts that were frozen at first learn by now.
        judging: steps are taken whose validation is not over.
        micro_batch: examples at once that memory was enough for; None: a whole batch.
    """

    network: nn.Module
    recipe: Recipe
    optimizer: "AcceleratedOptimizer"
    average: AveragedModel | None
    best: BestWeights
    plateau: Plateau
    log: RunLog
    result: Trained = field(default_factory=Trained)
    epoch: int = 0
    place: int = 0
    done: float = 0.0
    closing_s: float = 0.0
    validated_s: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    all_learn: bool = False
    judging: bool = False
    micro_batch: int | None = None

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept: the average, where there is one."""
        return self.network if self.average is None else self.average.module

    def tensors(self, device: torch.device) -> dict[str, Tensor]:
        """Return all tensors by the names that a checkpoint has them under."""
        state = self.optimizer.state_dict()["state"]
        parts: dict[str, Mapping[str, Any]] = {
            NETWORK: self.network.state_dict(),
            AVERAGE: self.average.state_dict() if self.average is not None else {},
            BEST: self.best.tensors(),
            RANDOM: generator_states(device)[0],
            **{f"{OPTIMIZER}/{number}": each for number, each in state.items()},
        }
        found = {
            f"{part}/{name}": value
            for part, values in parts.items()
            for name, value in values.items()
            if isinstance(value, Tensor)
        }
        return {**found, LOSSES: torch.stack(self.losses)} if self.losses else found

    def buffers(self, *, average: bool) -> dict[str, Tensor]:
        """Return copies of the buffers of the network, by their names in a checkpoint.

        Args:
            average: those of the average instead, where there is one.
        """
        chosen, prefix = self.network, NETWORK
        if average and self.average is not None:
            chosen, prefix = self.average, AVERAGE
        return {f"{prefix}/{name}": value.clone() for name, value in chosen.named_buffers()}

    def values(self, accelerator: "Accelerator", way: str) -> dict[str, Any]:
        """Return the rest, for JSON."""
        scaler = accelerator.scaler
        return {
            "recipe": self.recipe.to_dict(),
            "result": vars(self.result),
            "epoch": self.epoch,
            "place": self.place,
            "done": self.done,
            "closing_s": self.closing_s,
            "validated_s": self.validated_s,
            "all_learn": self.all_learn,
            "judging": self.judging,
            "micro_batch": self.micro_batch,
            "best": self.best.values(),
            "plateau": self.plateau.values(),
            "log": self.log.rows,
            "way": way,
            "random": generator_states(accelerator.device)[1],
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def take(self, checkpoint: Checkpoint, accelerator: "Accelerator") -> None:
        """Take over what a checkpoint holds.

        Raises:
            DataError: it is of another network, or of another recipe.
        """
        values = checkpoint.values
        check_network(checkpoint, self.network)
        self.network.load_state_dict(checkpoint.part(NETWORK))
        if self.average is not None:
            self.average.load_state_dict(checkpoint.part(AVERAGE))
        self._take_optimizer(checkpoint)
        self.best.take(checkpoint.part(BEST), values["best"])
        self.plateau.take(values["plateau"])
        self.log.restore(values["log"])
        self.result = Trained(**values["result"])
        self.result.seconds_before = self.result.seconds
        self.epoch, self.place, self.done = values["epoch"], values["place"], values["done"]
        self.judging = values["judging"]
        self.micro_batch = values.get("micro_batch")  # older checkpoints have none
        self.closing_s, self.validated_s = values["closing_s"], values["validated_s"]
        losses = checkpoint.tensors.get(LOSSES)
        self.losses = [] if losses is None else list(losses.to(accelerator.device))
        if accelerator.scaler is not None and values["scaler"]:
            accelerator.scaler.load_state_dict(values["scaler"])
        restore_generators(checkpoint.part(RANDOM), values["random"], accelerator.device)

    def _take_optimizer(self, checkpoint: Checkpoint) -> None:
        """Load its state, laid out in memory as the weights are: rounding may depend on that."""
        params = [p for group in self.optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in checkpoint.part(OPTIMIZER).items():
            number, _, key = name.partition("/")
            like = params[int(number)]
            if tensor.shape == like.shape and tensor.dtype == like.dtype:
                tensor = torch.empty_like(like).copy_(tensor)
            state.setdefault(int(number), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]  # the recipe says what they hold
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def finite(self) -> bool:
        """Return whether the weights are numbers, and so worth keeping."""
        found = [torch.isfinite(p.detach()).all() for p in self.network.parameters()]
        return not found or bool(torch.stack(found).all())


def check_recipe(checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Refuse to go on by another recipe.

    Raises:
        DataError: names what differs.
    """
    stored, now = checkpoint.values.get("recipe", {}), recipe.to_dict()
    differing = [
        f"{name} {stored[name]} there, {now[name]} now"
        for name in now
        if name in stored and stored[name] != now[name]
    ]
    if differing:
        words = "; ".join(differing[:MAX_NAMED_OPTIONS])
        raise DataError(f"{printable(checkpoint.path)}: is of another recipe: {words}")


def check_network(checkpoint: Checkpoint, network: nn.Module) -> None:
    """Refuse to go on with another network, or for another number of classes.

    Raises:
        DataError: names the first weight that differs.
    """
    stored, where = checkpoint.part(NETWORK), printable(checkpoint.path)
    now = network.state_dict()
    for name in [*now, *stored]:
        if name not in stored or name not in now:
            owner = "the network at hand" if name in now else "the checkpoint"
            raise DataError(f"{where}: is of another network: only {owner} has {name}")
        if stored[name].shape != now[name].shape:
            last = name == [n for n in now if n.endswith("weight")][-1] if now else False
            kind = "of another number of classes" if last else "of another network"
            raise DataError(
                f"{where}: is {kind}: {name} has the shape {tuple(stored[name].shape)} there, "
                f"{tuple(now[name].shape)} here"
            )


def copied_buffers(network: nn.Module) -> list[Tensor]:
    """Return copies of what a network keeps beside its weights, such as running statistics."""
    return [buffer.clone() for buffer in network.buffers()]


def put_back(network: nn.Module, buffers: Sequence[Tensor]) -> None:
    """Set the buffers of a network to copies of before."""
    for buffer, value in zip(network.buffers(), buffers, strict=True):
        buffer.copy_(value)
