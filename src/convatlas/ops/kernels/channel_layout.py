"""How a row of channels lies in scratch memory."""

LANES = 16


def padded(channels: int) -> int:
    """Channels filled up to whole vectors."""
    return (channels + LANES - 1) // LANES * LANES


def pitch(channels: int) -> int:
    """Bytes from row to row: a line more than the row, so that no rows share a place in a cache."""
    return (padded(channels) + LANES) * 4
