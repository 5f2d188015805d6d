"""The kinds of convolution by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convatlas.errors import UnknownNameError, nearest
from convatlas.ops.catalog import dense, graph, ordered, separable
from convatlas.ops.catalog.op_spec import OpSpec


@dataclass(frozen=True)
class Kind:
    """A kind of convolution; its options are the keyword arguments of `spec`, with defaults."""

    name: str
    spec: Callable[..., OpSpec]

    @property
    def about(self) -> str:
        """What it does, in one line."""
        return (inspect.getdoc(self.spec) or "").partition("\n")[0]

    @property
    def options(self) -> Mapping[str, Any]:
        """Each option with its default."""
        return {p.name: p.default for p in inspect.signature(self.spec).parameters.values()}


KINDS: dict[str, Kind] = {
    spec.__name__.removeprefix("spec_"): Kind(spec.__name__.removeprefix("spec_"), spec)
    for spec in (
        dense.spec_conv,
        dense.spec_strided,
        dense.spec_dilated,
        dense.spec_pointwise,
        dense.spec_grouped,
        dense.spec_shuffled_group,
        dense.spec_transposed,
        separable.spec_depthwise,
        separable.spec_separable,
        separable.spec_spatially_separable,
        separable.spec_two_step,
        separable.spec_sub_separable,
        separable.spec_super_separable,
        separable.spec_pyramid,
        ordered.spec_masked,
        ordered.spec_causal,
        ordered.spec_gated,
        graph.spec_spectral,
        graph.spec_chebyshev,
        graph.spec_first_order,
    )
}


def find_kind(name: str) -> Kind:
    """Return the kind of that name; hyphens and underscores mean the same.

    Raises:
        UnknownNameError: there is none.
    """
    wanted = name.replace("-", "_")
    if wanted not in KINDS:
        raise UnknownNameError(
            f"no kind of convolution '{name}'{nearest(wanted, KINDS)}; kinds: {', '.join(KINDS)}"
        )
    return KINDS[wanted]
