"""The answer of a count, as plain numbers that print, compare and become JSON."""

from dataclasses import asdict, dataclass
from typing import Any

RULE = (
    "1 mac = 1 multiply-add of a convolution or linear layer; bias, normalisation, activation, "
    "pooling and element-wise work are free; batch 1, evaluation mode"
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
    input runs, `weight_bytes` parameters and buffers as stored, `uncounted` the operators that
    the rule does not know, each with how often it ran, `warnings` what has to be known of a count.
    """

    input: tuple[tuple[int, ...], ...]
    params: int
    macs: int
    activation_bytes: int
    peak_bytes: int
    weight_bytes: int
    uncounted: dict[str, int]
    layers: tuple[LayerCost, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The keys of `count --json`, layers included."""
        whole = asdict(self)
        whole["layers"] = [asdict(layer) for layer in self.layers]
        whole["uncounted"] = sorted(self.uncounted)
        return whole
