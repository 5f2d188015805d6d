"""Whether an input is a tracer's stand-in: `torch.fx` runs a network without sizes."""

import torch


def is_traced(x: object) -> bool:
    """Say whether x stands in for a tensor while `torch.fx` traces, so that its sizes are unknown.

    Checks of sizes are left out then; the traced network holds none of them.
    """
    return isinstance(x, torch.fx.Proxy)
