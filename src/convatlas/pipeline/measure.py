"""How fast candidates are on this machine: training steps, answers, ways to compute; measured."""

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convatlas.cost import best_latency
from convatlas.cost.latency import limited_threads
from convatlas.data.dataset import Dataset
from convatlas.errors import short_of_memory
from convatlas.kernels.layers.choose import running, step_seconds
from convatlas.search.costed import CostedCandidate
from convatlas.search.space import Candidate
from convatlas.train.device import training_device
from convatlas.train.recipe import Recipe
from convatlas.train.threads import Speed, fastest_threads

PROBE_BATCH = 16
SMALLEST_PROBE = 2  # examples: batch norm needs two
MATRIX_SIDE = 1024  # of the product whose speed no network exceeds
ACCELERATOR_MATRIX_SIDE = 4096  # of the same: a smaller product is over before it is launched
BACKWARD = 3  # a training step works three times as much as a forward pass
PROBE_MACS = 2e9  # of all examples of a probe, so that a large network does not take the time away
LATENCY_SECONDS = 0.2
THROUGHPUT_BATCH = 32  # inputs: with more, a CPU gains little


class Speeds:
    """Measures candidates on noise of the form of their inputs; remembers what it measured.

    Args:
        data: its training split is what an epoch goes over.
        recipe: how candidates will be trained.
    """

    def __init__(self, data: Dataset, recipe: Recipe):
        self.data, self.recipe = data, recipe
        self.timed = True  # without a limit of time nothing that was measured decides anything
        self._thread_counts: dict[Candidate, int] = {}
        self._step_s: dict[Candidate, float] = {}  # of a training step, for each example
        self._macs_per_s: float | None = None

    def epoch_seconds(self, counted: CostedCandidate) -> float:
        """Measure a training step on noise where training runs, scaled to the training split."""
        candidate = counted.candidate
        assert counted.cost is not None
        batch, step = self._probe(candidate, self._probe_batch(counted.cost.macs))
        if batch < PROBE_BATCH:  # one step is long: the answer will be the same for any batch
            self._thread_counts[candidate] = step.threads
        self._step_s[candidate] = step.seconds / batch
        return step.seconds * len(self.data.splits["train"]) / batch

    def _probe_batch(self, macs: float) -> int:
        """Few examples on the CPU; an accelerator takes about as long for few as for a batch."""
        if training_device().type != "cpu":
            return self.recipe.batch_size
        return int(min(PROBE_BATCH, max(SMALLEST_PROBE, PROBE_MACS / max(1, macs))))

    def _probe(self, candidate: Candidate, batch: int) -> tuple[int, Speed]:
        """Time a step of `batch` examples, or of as many as memory holds."""
        device = training_device()
        model = candidate.build().train().to(device)
        while True:
            try:
                inputs = [x.to(device) for x in candidate.inputs(model, batch)]
                return batch, fastest_threads(partial(_step, model, *inputs), device)
            except (MemoryError, RuntimeError) as error:
                if not short_of_memory(error) or batch <= SMALLEST_PROBE:
                    raise
            batch = max(SMALLEST_PROBE, batch // 2)

    def step_seconds(self, candidate: Candidate) -> float | None:
        """Return a training step's seconds for each example; None where none was measured."""
        return self._step_s.get(candidate)

    def measured(self, candidate: Candidate) -> dict[str, float | None]:
        """Return what was measured of a candidate's training, for JSON."""
        threads = self._thread_counts.get(candidate)
        return {"step_s": self._step_s.get(candidate), "threads": threads}

    def take_measured(self, candidate: Candidate, values: Mapping[str, Any]) -> None:
        """Take over what `measured` gave."""
        if values["step_s"] is not None:
            self._step_s[candidate] = values["step_s"]
        if values["threads"] is not None:
            self._thread_counts[candidate] = values["threads"]

    def most_macs(self, pass_seconds: float) -> float:
        """Return the multiply-adds with which a pass over the training examples takes so long.

        At the speed of one large matrix product, the fastest there is.
        """
        if self._macs_per_s is None:
            device = training_device()
            on_cpu = device.type == "cpu"
            side = MATRIX_SIDE if on_cpu else ACCELERATOR_MATRIX_SIDE
            # Convolutions in float32 may use an accelerator's units for shorter numbers.
            dtype = torch.float32 if on_cpu else torch.float16
            x = torch.rand(side, side, dtype=dtype, device=device)
            self._macs_per_s = side**3 / fastest_threads(lambda: x @ x, device).seconds
        return pass_seconds * self._macs_per_s / (BACKWARD * len(self.data.splits["train"]))

    def way_seconds(self, counted: CostedCandidate, limit_s: float) -> dict[str, float]:
        """Measure a training step in both of torch's memory formats and with the CPU kernels."""
        candidate = counted.candidate
        assert counted.cost is not None
        batch = self._probe_batch(counted.cost.macs)
        model = candidate.build().train()
        inputs = candidate.inputs(model, batch)
        with limited_threads(self._thread_counts.get(candidate) or torch.get_num_threads()):
            return step_seconds(model, inputs, limit_s=limit_s)

    def latency(self, counted: CostedCandidate) -> float:
        """Return the median seconds of one input through the network on this machine's CPU."""
        model = counted.candidate.build()
        inputs = counted.candidate.inputs(model)
        return best_latency(model, inputs, seconds=LATENCY_SECONDS).median_s

    def throughput(self, counted: CostedCandidate) -> float:
        """Return how many inputs a second this machine's CPU answers, in batches."""
        model = counted.candidate.build()
        inputs = counted.candidate.inputs(model, THROUGHPUT_BATCH)
        return best_latency(model, inputs, seconds=LATENCY_SECONDS).items_per_s

    def threads(self, candidate: Candidate, model: nn.Module, way: str) -> int:
        """Measure how many CPU threads train a network fastest: a small one may want one.

        Args:
            model: the candidate's network, which stays as it is.
            way: that it is trained, as `kernels.layers.choose` names it.
        """
        known = self._thread_counts.get(candidate)
        if known is None and (training_device().type != "cpu" or not self.timed):
            known = torch.get_num_threads()
        if known is None:
            probe = copy.deepcopy(model).train()
            inputs = candidate.inputs(probe, self.recipe.batch_size)
            with running(probe, way):
                known = fastest_threads(lambda: _step(probe, *inputs)).threads
        self._thread_counts[candidate] = known
        return known


def _step(model: nn.Module, *inputs: Tensor) -> None:
    """Go forward and backward through everything that the network returns."""
    outputs = (x for x in tree_leaves(model(*inputs)) if isinstance(x, Tensor) and x.requires_grad)
    torch.stack([x.float().sum() for x in outputs]).sum().backward()
