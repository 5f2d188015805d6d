"""Which of some labelled data a run was not trained on, told by their content."""

from convatlas.data.dataset import Dataset, Split
from convatlas.errors import DataError
from convatlas.tasks.task import AnyTask
from convatlas.text import printable


def unseen_part(
    task: AnyTask, opened: Dataset, known: set[str] | None, found: list[str], *, with_seen: bool
) -> tuple[Split, int]:
    """Return what is left to judge a run by, and how many examples it was trained on.

    Args:
        opened: the data; their split `test` is looked at.
        known: digests of what the run was trained on, None where that is not known.
        found: takes a sentence about what was left out, or kept all the same.
        with_seen: keep what the run was trained on.

    Raises:
        DataError: the run was trained on all of them.
    """
    split, items = opened.splits["test"], task.items
    if known is None:
        found.append(
            f"an older version made this run: which {items} it was trained on is not known"
        )
        return split, 0
    fresh = task.unseen(opened, split, known)
    seen = len(split) - len(fresh)
    if not seen:
        return split, 0
    if with_seen:
        found.append(f"{seen:,} of the {len(split):,} {items} were used to train this run")
        return split, seen
    if not fresh:
        raise DataError(
            f"{printable(opened.source)}: all {seen:,} {items} were used to train this run, so "
            "they say nothing about new ones; --with-seen counts them anyway"
        )
    found.append(
        f"left out {seen:,} of {len(split):,} {items}, which were used to train this run; "
        "--with-seen counts them too"
    )
    return split.subset(fresh), seen
