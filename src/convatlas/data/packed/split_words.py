"""The split that stands in the name of a file among other words: `imagenet-val-000012`."""

import re

from convatlas.data.sources.split_names import split_named


def split_in(name: str) -> str | None:
    """Return the split that a word of the name means; None where no word, or several, do."""
    words = re.split(r"[-_. ]+", name)
    found = {split for word in words if (split := split_named(word.rstrip("0123456789")))}
    return found.pop() if len(found) == 1 else None
