"""What a network may cost, and the check of a candidate against it."""

import math
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from convatlas.errors import UsageError, nearest
from convatlas.typed_numbers import parse_bytes, parse_count, parse_seconds

PARSERS: dict[str, Callable[[str], float]] = {
    "params": parse_count,
    "macs": parse_count,
    "latency_s": parse_seconds,
    "file_bytes": parse_bytes,
    "memory_bytes": parse_bytes,
    "throughput": parse_count,
}
AT_LEAST = ("throughput",)  # lower limits; the others are upper ones
# What other tools, and the options of the command line, call a limit.
OTHER_NAMES = {
    "max_params": "params",
    "parameters": "params",
    "max_macs": "macs",
    "flops": "macs (one multiply-add is one mac)",
    "mult_adds": "macs",
    "latency": "latency_s",
    "max_latency": "latency_s",
    "size": "file_bytes",
    "max_size": "file_bytes",
    "bytes": "file_bytes",
    "memory": "memory_bytes",
    "max_memory": "memory_bytes",
    "peak_bytes": "memory_bytes",
    "min_throughput": "throughput",
}


class Budget(BaseModel):
    """Limits of what a network may cost; one that is None does not bind.

    `params` and `macs` are counted, `latency_s` is measured on this machine (one input, median),
    `file_bytes` is the size of the exported ONNX file, `memory_bytes` what one input takes at the
    most (`Cost.memory_bytes`: weights, live tensors, what convolutions hold beside them; counted).
    `throughput` is the one lower limit: inputs a second on this machine's CPU, measured in batches.
    Each takes a number, or text as the command line does: `Budget(params="1M", macs="50M",
    latency_s="10ms", file_bytes="2MB", memory_bytes="16MB", throughput="200")`.

    Raises:
        UsageError: no such limit, or one that is no number above zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: float | None = Field(default=None, gt=0)
    macs: float | None = Field(default=None, gt=0)
    latency_s: float | None = Field(default=None, gt=0)
    file_bytes: float | None = Field(default=None, gt=0)
    memory_bytes: float | None = Field(default=None, gt=0)
    throughput: float | None = Field(default=None, gt=0)

    def __init__(
        self,
        *,
        params: float | str | None = None,
        macs: float | str | None = None,
        latency_s: float | str | None = None,
        file_bytes: float | str | None = None,
        memory_bytes: float | str | None = None,
        throughput: float | str | None = None,
        **unknown: Any,
    ):
        for name in unknown:
            raise UsageError(f"Budget: no limit '{name}'{_near(name)}")
        limits = {
            "params": params,
            "macs": macs,
            "latency_s": latency_s,
            "file_bytes": file_bytes,
            "memory_bytes": memory_bytes,
            "throughput": throughput,
        }
        super().__init__(**{name: _number(name, value) for name, value in limits.items()})

    def excess(self, **costs: float | None) -> dict[str, float]:
        """Return how many times over the limit each of `costs` is; empty where all fit.

        A cost that is None is not known yet and cannot be over. Of a lower limit it is how many
        times more is asked for.
        """
        limits = self.model_dump()
        known = {n: cost for n, cost in costs.items() if cost is not None and limits[n] is not None}
        times = {
            name: limits[name] / max(cost, 1e-12) if name in AT_LEAST else cost / limits[name]
            for name, cost in known.items()
        }
        return {name: each for name, each in times.items() if each > 1}

    def is_open(self) -> bool:
        """Return whether nothing at all is limited."""
        return not any(self.model_dump().values())


def _near(name: str) -> str:
    if name in OTHER_NAMES:
        return f"; did you mean {OTHER_NAMES[name]}?"
    near = nearest(name, PARSERS, count=1).removeprefix("; nearest: ")
    return f"; did you mean {near}?" if near else f"; there are {', '.join(PARSERS)}"


def _number(name: str, value: float | str | None) -> float | None:
    if value is None:
        return None
    try:
        number = PARSERS[name](value) if isinstance(value, str) else float(value)
    except UsageError as error:
        raise UsageError(f"Budget: {name}: {error}") from None
    except (TypeError, ValueError):
        raise UsageError(f"Budget: {name} must be a number or text, got {value!r}") from None
    if isinstance(value, bool) or not 0 < number < math.inf:
        raise UsageError(f"Budget: {name} must be above zero and finite, got {value!r}")
    return number
