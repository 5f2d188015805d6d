"""Numbers that pieces are drawn by: with `fresh` another one each time."""


class FreshNumbers:
    """The number of a piece is its place, and with `fresh` grows by `count` each time.

    A training loop says where an epoch begins, so that what the epoch draws does not depend on how
    often pieces were asked for before.
    """

    def __init__(self, count: int, *, fresh: bool):
        self._count, self._fresh = count, fresh
        self._epoch = 0
        self._asked: dict[int, int] = {}

    def begin_epoch(self, epoch: int) -> None:
        """Let each piece be asked for the first time in an epoch."""
        self._epoch = epoch
        self._asked.clear()

    def number(self, place: int) -> int:
        """Return the number of a piece now."""
        if not self._fresh:
            return place
        before = self._asked.get(place, 0)
        self._asked[place] = before + 1
        return place + (self._epoch + before) * self._count
