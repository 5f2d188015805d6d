"""The answer of a count, as plain numbers that print, compare and become JSON."""

from dataclasses import asdict, dataclass
from typing import Any

RULE = (
    "1 mac = 1 multiply-add of a convolution or linear layer; bias, normalisation, activation, "
    "pooling and element-wise work are free; batch 1, evaluation mode"
)

# Of memory_bytes: what the first run in a process was measured to take above it at the most.
MEMORY_MARGIN = 0.15
MEMORY_RULE = (
    "peak = weights and live tensors; with workspace, also what CPU convolutions hold beside "
    f"them. Measured: at most that, but up to {MEMORY_MARGIN:.0%} more in the first run of a "
    "process (holes of the allocator), and some 15 MB of library code once"
)


@dataclass(frozen=True)
class LayerCost:
    """What one module costs itself, without the modules inside it."""

    name: str
    kind: str
    output: tuple[int, ...] | None
    params: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class Cost:
    """Counted cost of one network at one input.

    `params` are trainable numbers, `macs` multiply-adds, `activation_bytes` the float32 outputs
    of all counted layers, `peak_bytes` the largest sum of weights and live tensors while one
    input runs, `workspace_bytes` an estimate of what convolutions on a CPU hold above that peak,
    `memory_bytes` the sum of both, `weight_bytes` parameters and buffers as stored, `uncounted`
    the operators that the rule does not know, each with how often it ran, `warnings` what has to
    be known of a count.
    """

    input: tuple[tuple[int, ...], ...]
    params: int
    macs: int
    activation_bytes: int
    peak_bytes: int
    workspace_bytes: int
    weight_bytes: int
    uncounted: dict[str, int]
    layers: tuple[LayerCost, ...]
    warnings: tuple[str, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """What a run on a CPU takes: what a limit of memory has to be held against."""
        return self.peak_bytes + self.workspace_bytes

    def to_dict(self) -> dict[str, Any]:
        """The keys of `count --json`, layers included."""
        whole = asdict(self)
        whole["memory_bytes"] = self.memory_bytes
        whole["memory_margin"] = MEMORY_MARGIN
        whole["layers"] = [asdict(layer) for layer in self.layers]
        whole["uncounted"] = sorted(self.uncounted)
        return whole
