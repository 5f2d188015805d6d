"""The usual spellings of train, val and test, as folders and CSV files have them."""

import re

SPLITS = ("train", "val", "test")
WORDS = {
    "train": "train|training",
    "val": "val|valid|validate|validation|dev|devel|development|eval|evaluation",
    "test": "test|testing|tests",
}
_GAP = r"[ ._-]*"
_BEFORE = rf"(?:\d{{1,2}}[ ._-]+)?(?:(?:images?|imgs?|data|dataset|set|seg|split|x){_GAP})?"
_BEHIND = rf"(?:{_GAP}(?:sets?|data|dataset|images?|imgs?|pictures?|photos?|split|\d{{4}}))?"
_SPELLING = {
    split: re.compile(_BEFORE + f"(?:{words})" + _BEHIND) for split, words in WORDS.items()
}


def split_named(name: str) -> str | None:
    """Return the split that a folder or a field names, such as `Training` or `test_set`."""
    plain = name.strip().lower()
    return next((split for split in SPLITS if _SPELLING[split].fullmatch(plain)), None)
