"""The kinds of convolution by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convatlas.errors import UnknownNameError, nearest
from convatlas.ops.kinds import dense, graph, ordered, separable
from convatlas.ops.kinds.plan import Plan


@dataclass(frozen=True)
class Kind:
    """A kind of convolution; its options are the keyword arguments of `plan`, with defaults."""

    name: str
    plan: Callable[..., Plan]

    @property
    def about(self) -> str:
        """What it does, in one line."""
        return (inspect.getdoc(self.plan) or "").partition("\n")[0]

    @property
    def options(self) -> Mapping[str, Any]:
        """Each option with its default."""
        return {p.name: p.default for p in inspect.signature(self.plan).parameters.values()}


KINDS: dict[str, Kind] = {
    plan.__name__.removeprefix("plan_"): Kind(plan.__name__.removeprefix("plan_"), plan)
    for plan in (
        dense.plan_conv,
        dense.plan_strided,
        dense.plan_dilated,
        dense.plan_pointwise,
        dense.plan_grouped,
        dense.plan_shuffled_group,
        dense.plan_transposed,
        separable.plan_depthwise,
        separable.plan_separable,
        separable.plan_spatially_separable,
        separable.plan_two_step,
        separable.plan_sub_separable,
        separable.plan_super_separable,
        separable.plan_pyramid,
        ordered.plan_masked,
        ordered.plan_causal,
        ordered.plan_gated,
        graph.plan_spectral,
        graph.plan_chebyshev,
        graph.plan_first_order,
    )
}


def find_kind(name: str) -> Kind:
    """The kind of that name; hyphens and underscores mean the same.

    Raises:
        UnknownNameError: there is none.
    """
    wanted = name.replace("-", "_")
    if wanted not in KINDS:
        raise UnknownNameError(
            f"no kind of convolution '{name}'{nearest(wanted, KINDS)}; kinds: {', '.join(KINDS)}"
        )
    return KINDS[wanted]
