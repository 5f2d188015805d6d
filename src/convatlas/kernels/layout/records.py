"""Named arguments of kernels: Python fills them in, compiled code reads them by name.

Addresses and counts are whole numbers, 0 for what is absent; `float` is a float32 and `Double` a
float64 for compiled code (`runtime/arguments.py`). Rows of channels are float32, channels together.
"""

from typing import NamedTuple

from convatlas.kernels.runtime.records import Double


class Prologue(NamedTuple):
    """The input of a fused convolution, and the batch norm and activation applied on the way in."""

    x: int
    channels: int
    padded: int  # channels filled up to whole vectors
    pitch: int  # bytes from row to row in scratch memory
    table: int  # per-channel numbers of the norm (`layout/channels.py`)
    normed: int  # 0: the input is read as it is
    act: int
    clip_min: float
    clip_max: float


class Result(NamedTuple):
    """The result of a fused convolution, and where what its batch norm needs is summed."""

    y: int
    channels: int
    padded: int
    pitch: int
    table: int  # its pivots
    sums: int  # of all workers
    nontemporal: int  # write around the caches


class ResultGradient(NamedTuple):
    """The gradient of a result, and what its statistics pass back to each value."""

    dy: int
    y: int
    channels: int
    padded: int
    pitch: int
    table: int  # mean, slope and offset
    dstats: int  # 0: the statistics pass nothing back


class InputGradient(NamedTuple):
    """The gradient of an input, and the sums for the gradients of the norm before it."""

    dx: int  # 0: not wanted
    sums: int
    nontemporal: int


class Blocks(NamedTuple):
    """Work in blocks of rows, and the scratch memory of each worker."""

    rows: int
    block: int
    scratch: int
    scratch_bytes: int


class Matrix(NamedTuple):
    """A matrix of float32 with its pitches in bytes."""

    at: int
    row: int
    step: int


class Panels(NamedTuple):
    """The second matrix of a product, packed: `steps` rows of `vectors` vectors."""

    at: int
    steps: int
    vectors: int


class Prefetch(NamedTuple):
    """What is fetched while something is computed: a place, another `second` bytes on, the pace."""

    at: int
    second: int
    step: int


class Target(NamedTuple):
    """Where rows are written, and whether around the caches."""

    at: int
    row: int
    nontemporal: int


class Finish(NamedTuple):
    """What an epilogue reads and sums (`codegen/epilogue.py`)."""

    table: int
    totals: int
    pitch: int  # bytes from row to row of the table, and from the first sums to the second
    other: int  # bytes from a place in the result to that of the same value in the norm's input
    clip_min: float
    clip_max: float


class WeightGradient(NamedTuple):
    """The sums of a weight gradient, `bytes` for each worker."""

    at: int
    bytes: int


class NormNumbers(NamedTuple):
    """A batch norm's numbers, from which the table of its input is filled."""

    table: int
    padded: int
    channels: int
    fold: int  # rows that are taken as one
    weight: int
    bias: int
    stats: int  # 0: a table of zeros


class StatisticsPull(NamedTuple):
    """Statistics and their gradient, from which the table of a result's gradient is filled."""

    table: int
    padded: int
    channels: int
    rows: Double
    stats: int
    dstats: int  # 0: nothing is passed back


class ChannelSums(NamedTuple):
    """Two sums of each channel from all workers, and the table they refer to."""

    at: int
    summed_by: int  # workers
    padded: int
    channels: int
    fold: int
    rows: Double
    table: int


class Statistics(NamedTuple):
    """Where statistics go, and the running ones that follow them."""

    stats: int
    eps: Double
    mean: int
    var: int
    counted: int
    momentum: Double


class NormedRows(NamedTuple):
    """Rows of channels with the norm and the activation that they go through."""

    rows: int
    channels: int
    padded: int
    table: int
    act: int
    clip_min: float
    clip_max: float


class Image(NamedTuple):
    """The images of a first convolution, columns together, and its filter."""

    x: int
    images: int
    channels: int
    height: int
    width: int
    h_taps: int
    w_taps: int
    stride: int
    top: int  # rows of padding
    left: int
    out_height: int
    out_width: int


class Window(NamedTuple):
    """Inputs of a strip of outputs: tap 0 of the first output meets row `top`, column `first`."""

    at: int  # that column in row 0
    row: int  # bytes to the next row
    col: int
    top: int
    height: int  # outside these rows and `width` columns they are zero
    first: int
    width: int


class StripOutputs(NamedTuple):
    """Rows of neighbouring outputs, written from column `start` to before `end`."""

    at: int
    row: int
    col: int
    rows: int
    start: int
    end: int
    nontemporal: int


class Fetch(NamedTuple):
    """What is prefetched meanwhile: from a place on, `factor` times as much as is written."""

    at: int
    factor: int


class FilterRow(NamedTuple):
    """Where one row of outputs finds its inputs and weights, and how many rows of taps it has."""

    x: int
    x_row: int  # bytes to the next row, as all pitches
    w: int
    w_row: int
    w_col: int
    rows: int


class TapRows(NamedTuple):
    """Inputs that a few rows of a filter's taps meet, for one row of gradients after another.

    Row j of gradients meets rows top + down * j + below * r of x, r < tap_rows; its column k meets
    columns stride * k + offset + tap.
    """

    at: int
    row: int
    col: int
    top: int
    below: int
    down: int
    height: int
    tap_rows: int
    offset: int
    width: int


class GradientRows(NamedTuple):
    """Rows of gradients, `vectors` vectors of channels wide at each column."""

    at: int
    row: int
    col: int
    width: int
    rows: int
    vectors: int


class TapSums(NamedTuple):
    """Float64 sums of a weight gradient: bytes from tap to tap, and from row to row of taps."""

    at: int
    tap: int
    row: int


class FilterSizes(NamedTuple):
    """A fused depthwise filter: rows of images and results, in memory and in scratch memory."""

    images: int
    width: int  # columns of an image
    columns: int  # of the result
    left: int  # bytes in scratch memory before an image's row
    dy_left: int  # and before a row of the result's gradient
    taps: int


class FilterWork(NamedTuple):
    """A depthwise filter by itself: how its work is cut, and where its weights are packed."""

    images: int
    block: int
    taps: int
    packed: int  # room for each worker
    padded: int
