"""Drop-path: joins of parallel paths that leave some out while training.

Local: each join drops each of its inputs by chance, never all. Global: one column of the whole
network stays on. A join is the mean of what is left, not a sum and not a concatenation.

Source: Larsson, Maire, Shakhnarovich, "FractalNet", 2017, arXiv:1605.07648, section 3.1; Huang et
    al., "Deep Networks with Stochastic Depth", 2016, arXiv:1603.09382, equation 4, for the chance
    that a residual unit survives.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced


def join_mean(paths: Sequence[Tensor]) -> Tensor:
    """Return the mean of the paths.

    Shape: (n, c, i…) each -> (n, c, i…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: no path, or paths of different shapes.
    """
    # Compared, not gathered in a set: a size that an exported program leaves free has no hash.
    if not paths or not (
        is_traced(paths[0]) or all(path.shape == paths[0].shape for path in paths)
    ):
        shapes = [tuple(path.shape) for path in paths]
        raise UsageError(f"join: paths must have one shape, got {shapes or 'no path'}")
    total = paths[0]
    for path in paths[1:]:
        total = total + path
    return total / len(paths)


def local_drop_path(
    paths: Sequence[Tensor],
    drop: float = 0.15,
    *,
    training: bool,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the mean of the paths that survive, one draw a batch; of all when not training.

    Args:
        drop: probability that a path is left out, drawn for each by itself; were all left out,
            one is kept, each equally likely.
        generator: of the draws; torch's own if not given.

    Shape: (n, c, i…) each -> (n, c, i…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: drop is not from 0 to under 1, or as `join_mean`.
    """
    if not 0 <= drop < 1:
        raise UsageError(f"local_drop_path: drop must be from 0 to under 1, got {drop}")
    if not training or not paths:
        return join_mean(paths)
    kept = torch.rand(len(paths), generator=generator) >= drop
    if not kept.any():
        kept[torch.randint(len(paths), (), generator=generator)] = True
    return join_mean([path for path, keep in zip(paths, kept.tolist(), strict=True) if keep])


def global_drop_path(paths: Mapping[int, Tensor], column: int) -> Tensor:
    """Return the one path of the column that stays on in the whole network.

    A join that the column does not reach gives the mean: nothing that counts reads it.

    Args:
        paths: what comes in, by the number of its column.
        column: as `draw_column` drew it, the same in every join of a forward pass.

    Shape: (n, c, i…) each -> (n, c, i…)

    Cost: no multiply-adds.

    Raises:
        UsageError: as `join_mean`.
    """
    return paths[column] if column in paths else join_mean(list(paths.values()))


def draw_column(columns: int, *, generator: torch.Generator | None = None) -> int:
    """Draw one column of the network, each equally likely.

    Raises:
        UsageError: fewer than 1 column.
    """
    if columns < 1:
        raise UsageError(f"draw_column: columns must be 1 or more, got {columns}")
    return int(torch.randint(columns, (), generator=generator))


def linear_survival(unit: int, units: int, *, last: float = 0.5) -> float:
    """Return the chance that residual unit `unit` stays on: 1 - unit / units * (1 - last).

    Args:
        unit: 0, always on, stands for what is before the first unit.
        last: of the last unit.

    Raises:
        UsageError: unit is not from 0 to units, or last is no probability.
    """
    if units < 1 or not 0 <= unit <= units or not 0 <= last <= 1:
        raise UsageError(
            f"linear_survival: unit must be from 0 to {units}, last from 0 to 1, got {unit}, {last}"
        )
    return 1 - unit / units * (1 - last)
