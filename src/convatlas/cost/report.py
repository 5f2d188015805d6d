"""The answer of a count, as plain numbers that print, compare and become JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from convatlas.tables import html_table
from convatlas.text import format_number, shape_text

RULE = (
    "1 mac = 1 multiply-add of a convolution or linear layer; bias, normalisation, activation, "
    "pooling and element-wise work are free; batch 1, evaluation mode"
)

# Of memory_bytes: what the first run in a process was measured to take above it at the most.
MEMORY_MARGIN = 0.15
MEMORY_RULE = (
    "peak = weights and live tensors; with workspace, also the temporary memory of CPU "
    f"convolutions. Measured: at most that, but up to {MEMORY_MARGIN:.0%} more in the first run of "
    "a process (memory fragmentation), and about 15 MB of library code once"
)

LAYER_COLUMNS = ("layer", "kind", "output", "params", "macs")


@dataclass(frozen=True)
class LayerCost:
    """What one module costs itself, without the modules inside it."""

    name: str
    kind: str
    output: tuple[int, ...] | None
    params: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        at = shape_text(self.input)
        return f"Cost({format_number(self.params)} params, {format_number(self.macs)} macs at {at})"

    def __str__(self) -> str:
        rows = [row for row in self._rows() if row[1]]
        return "\n".join([repr(self)[5:-1], *(f"{name:12}{value}" for name, value in rows[3:])])

    def _repr_html_(self) -> str:
        head = html_table(self._rows(), ("", ""), caption="Cost, counted")
        layers = [
            (
                c.name,
                c.kind,
                shape_text(c.output or ()),
                format_number(c.params),
                format_number(c.macs),
            )
            for c in self.layers
        ]
        inside = html_table(layers, LAYER_COLUMNS, LAYER_COLUMNS[3:])
        return f"{head}<details><summary>{len(layers)} layers</summary>{inside}</details>"

    def _rows(self) -> list[tuple[str, str]]:
        """Return what is known of the whole, for people."""
        return [
            ("input", shape_text(self.input)),
            ("params", format_number(self.params)),
            ("macs", format_number(self.macs)),
            ("weights", format_number(self.weight_bytes, "bytes")),
            ("activations", format_number(self.activation_bytes, "bytes")),
            ("peak", format_number(self.peak_bytes, "bytes")),
            ("workspace", format_number(self.workspace_bytes, "bytes")),
            ("uncounted", ", ".join(sorted(self.uncounted))),
            *(("warning", warning) for warning in self.warnings),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of `count --json`, layers included."""
        whole = asdict(self)
        whole["memory_bytes"] = self.memory_bytes
        whole["memory_margin"] = MEMORY_MARGIN
        whole["layers"] = [asdict(layer) for layer in self.layers]
        whole["uncounted"] = sorted(self.uncounted)
        return whole
