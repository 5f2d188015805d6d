"""How fast candidates are on this machine: training steps, answers, ways to compute; measured."""

import copy
from functools import partial

import torch
from torch import Tensor, nn

from convatlas.cost import best_latency
from convatlas.cost.latency import limited_threads
from convatlas.data import ImageData
from convatlas.errors import short_of_memory
from convatlas.kernels.layers.choose import running, step_seconds
from convatlas.search.counted import Counted
from convatlas.search.space import Candidate
from convatlas.train.device import training_device
from convatlas.train.recipe import Recipe
from convatlas.train.threads import Speed, fastest_threads

PROBE_BATCH = 16
SMALLEST_PROBE = 2  # images: batch norm needs two
MATRIX_SIDE = 1024  # of the product whose speed no network exceeds
ACCELERATOR_MATRIX_SIDE = 4096  # of the same: a smaller product is over before it is launched
BACKWARD = 3  # a training step works three times as much as a forward pass
PROBE_MACS = 2e9  # of all images of a probe, so that a large network does not take the time away
LATENCY_SECONDS = 0.2


class Speeds:
    """Measures candidates on noise of the shape of some data; remembers what it measured.

    Args:
        data: its training split is what an epoch goes over.
        recipe: how candidates will be trained.
    """

    def __init__(self, data: ImageData, recipe: Recipe):
        self.data, self.recipe = data, recipe
        self._thread_counts: dict[Candidate, int] = {}
        self._step_s: dict[Candidate, float] = {}  # of a training step, for each image
        self._macs_per_s: float | None = None

    def epoch_seconds(self, counted: Counted) -> float:
        """Measure a training step on noise where training runs, scaled to the training split."""
        candidate = counted.candidate
        assert counted.cost is not None
        batch, step = self._probe(candidate, self._probe_batch(counted.cost.macs))
        if batch < PROBE_BATCH:  # one step is long: the answer will be the same for any batch
            self._thread_counts[candidate] = step.threads
        self._step_s[candidate] = step.seconds / batch
        return step.seconds * len(self.data.splits["train"]) / batch

    def _probe_batch(self, macs: float) -> int:
        """Few images on the CPU; an accelerator takes about as long for few as for a batch."""
        if training_device().type != "cpu":
            return self.recipe.batch_size
        return int(min(PROBE_BATCH, max(SMALLEST_PROBE, PROBE_MACS / max(1, macs))))

    def _probe(self, candidate: Candidate, batch: int) -> tuple[int, Speed]:
        """Time a step of so many images, or of as many as memory holds."""
        device = training_device()
        model = candidate.build().train().to(device)
        shape = self.data.channels, candidate.size, candidate.size
        while True:
            try:
                x = torch.randn(batch, *shape, device=device)
                return batch, fastest_threads(partial(_step, model, x), device)
            except (MemoryError, RuntimeError) as error:
                if not short_of_memory(error) or batch <= SMALLEST_PROBE:
                    raise
            batch = max(SMALLEST_PROBE, batch // 2)

    def step_seconds(self, candidate: Candidate) -> float | None:
        """Seconds of a training step for each of its images; None where none was measured."""
        return self._step_s.get(candidate)

    def most_macs(self, pass_seconds: float) -> float:
        """Multiply-adds of an image with which a pass over the training images takes so long.

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

    def way_seconds(self, counted: Counted, limit_s: float) -> dict[str, float]:
        """Measure a training step in both of torch's memory formats and with the CPU kernels."""
        candidate = counted.candidate
        assert counted.cost is not None
        batch = self._probe_batch(counted.cost.macs)
        x = torch.randn(batch, self.data.channels, candidate.size, candidate.size)
        with limited_threads(self._thread_counts.get(candidate) or torch.get_num_threads()):
            return step_seconds(candidate.build().train(), (x,), limit_s=limit_s)

    def latency(self, counted: Counted) -> float:
        """Median seconds of one image through the network on this machine's CPU."""
        candidate = counted.candidate
        x = torch.rand(1, self.data.channels, candidate.size, candidate.size)
        return best_latency(candidate.build(), (x,), seconds=LATENCY_SECONDS).median_s

    def threads(self, candidate: Candidate, model: nn.Module, way: str) -> int:
        """Measure how many CPU threads train a network fastest: a small one may want one.

        Args:
            model: the candidate's network, which stays as it is.
            way: that it is trained, as `kernels.layers.choose` names it.
        """
        known = self._thread_counts.get(candidate)
        if known is None and training_device().type != "cpu":
            known = torch.get_num_threads()
        if known is None:
            probe, size = copy.deepcopy(model).train(), candidate.size
            x = torch.randn(self.recipe.batch_size, self.data.channels, size, size)
            with running(probe, way):
                known = fastest_threads(lambda: _step(probe, x)).threads
        self._thread_counts[candidate] = known
        return known


def _step(model: nn.Module, x: Tensor) -> None:
    """Forward and backward; a network with training-only outputs gives its logits first."""
    outputs = model(x)
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    logits.sum().backward()
