"""How rows of channels lie in memory: in tensors, and in scratch memory."""

LANES = 16
# Rows of the table of per-channel numbers, each `padded` float32 long.
PIVOT, MEAN, SCALE, SHIFT, SLOPE, OFFSET = range(6)
TABLE = 6
# A worker's sums: two of float64, then two of float32 for the current run.
SUMS_BYTES = 2 * 8 + 2 * 4
TABLE_BYTES = TABLE * 4  # of a channel


def padded(channels: int) -> int:
    """Round channels up to whole vectors."""
    return (channels + LANES - 1) // LANES * LANES


def pitch(channels: int) -> int:
    """Return bytes from row to row: a line more, so that no rows share a place in a cache."""
    return (padded(channels) + LANES) * 4
