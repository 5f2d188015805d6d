"""A connectivity as lines of text: `#` where an input is read, `.` where it is not."""

from collections.abc import Sequence

from torch import Tensor

from convatlas.ops.catalog.connectivity import Connectivity

GAP = "     "


def text_lines(connectivity: Connectivity, steps: Sequence[Connectivity] = ()) -> list[str]:
    """Write connectivity along the axes, then between the channels; then that of each step."""
    lines = _one(connectivity)
    for number, step in enumerate(steps, start=1):
        lines += ["", f"step {number} of {len(steps)}", *_one(step)]
    return lines


def _one(connectivity: Connectivity) -> list[str]:
    lines = _places(connectivity)
    lines += ["", "channels: a row for each output, a column for each input"]
    lines += _matrix(connectivity.channels)
    if connectivity.own is not None:
        lines += ["", "the same at the output's own place alone"]
        lines += _matrix(connectivity.own)
    return lines


def _places(connectivity: Connectivity) -> list[str]:
    if len(connectivity.input) == 1:
        head = "positions: a row for each output, a column for each input"
        return [head, *_matrix(connectivity.places)]
    grids = (
        ("read by the middle output", connectivity.reads()),
        ("fed by the middle input", connectivity.feeds()),
    )
    columns = [[head, *_grid(grid)] for head, grid in grids]
    return ["positions", *_side_by_side(columns)]


def _grid(grid: Tensor) -> list[str]:
    """Write two axes as they are; of three, the slices one after the other to the right."""
    if grid.dim() == 2:
        return _matrix(grid)
    return _side_by_side([_matrix(part) for part in grid], gap="   ")


def _matrix(matrix: Tensor) -> list[str]:
    return [" ".join("#" if on else "." for on in row) for row in matrix.tolist()]


def _side_by_side(columns: Sequence[Sequence[str]], gap: str = GAP) -> list[str]:
    height = max(map(len, columns))
    widths = [max(map(len, column)) for column in columns]
    padded = [[*column, *[""] * (height - len(column))] for column in columns]
    return [
        gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*padded, strict=True)
    ]
