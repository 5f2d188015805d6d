"""Which columns of a table hold what: told by their names, by languages, or by options."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from convatlas.data.names import printable, printable_few
from convatlas.errors import DataError, nearest

SOURCE, TARGET, TEXT, LABEL, SPLIT = "source", "target", "text", "label", "split"
PAIR = (SOURCE, TARGET)
NAMES = {
    SOURCE: ("source", "src", "source_text", "from", "input"),
    TARGET: ("target", "tgt", "trg", "target_text", "translation", "output"),
    TEXT: ("text", "sentence", "review", "comment", "message", "content", "document"),
    LABEL: ("label", "class", "category", "sentiment", "language", "lang", "topic", "intent"),
    SPLIT: ("split", "set", "subset", "partition"),
}
# ISO 639-1, but `id`, which names a number far more often than Indonesian.
_CODES = frozenset(
    word
    for line in (
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs",
        "cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha",
        "he hi ho hr ht hu hy hz ia ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko",
        "kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd",
        "ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se",
        "sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty",
        "ug uk ur uz ve vi vo wa wo xh yi yo za zh zu",
    )
    for word in line.split()
)
_WORDS = frozenset(
    word
    for line in (
        "english german french spanish italian portuguese dutch swedish danish norwegian",
        "finnish polish czech russian ukrainian greek turkish arabic hebrew hindi chinese",
        "japanese korean",
    )
    for word in line.split()
)
_REGION = re.compile(r"([a-z]{2})(?:[-_][a-z]{2,4})?")


def is_language(name: str) -> bool:
    """Return whether a column or suffix names a language: `sv`, `pt-BR`, `Swedish`."""
    plain = name.strip().lower()
    found = _REGION.fullmatch(plain)
    return plain in _WORDS or (found is not None and found[1] in _CODES)


def is_numbered(wanted: Sequence[str], options: Mapping[str, Any]) -> bool:
    """Return whether options give columns by number: such a file has no line of names."""
    return any(type(options.get(field)) is int for field in (*wanted, SPLIT))


def find_columns(
    names: Sequence[str], wanted: Sequence[str], options: Mapping[str, Any], place: str
) -> dict[str, int]:
    """Return the place of each wanted column from 0, and that of the split where there is one.

    Args:
        names: of the columns; empty where the file has none and options give numbers from 1.
        wanted: `source` and `target`, or `text` and `label`.
        options: name or number of a column, under what it holds.
        place: the file, for messages.

    Raises:
        DataError: a column is missing, or several could be meant.
    """
    found = {
        field: _asked(names, field, options[field], place)
        for field in (*wanted, SPLIT)
        if options.get(field) is not None
    }
    for field in (*wanted, SPLIT):
        if field not in found and (known := _known(names, field, found.values())) is not None:
            found[field] = known
    missing = [field for field in wanted if field not in found]
    if missing and set(wanted) == set(PAIR):
        languages = [
            number
            for number, name in enumerate(names)
            if is_language(name) and number not in found.values()
        ]
        if len(languages) == len(missing):
            found |= dict(zip(missing, languages, strict=True))
            missing = []
    if missing:
        ask = " ".join(f"--set {field}=COLUMN" for field in missing)
        raise DataError(
            f"{place}: the column of the {' and of the '.join(missing)} must be named with {ask}, "
            f"got the columns {printable_few(names, 8) if names else 'of no names'}"
        )
    return found


def tell_fields(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether a table seems to hold these fields; of languages there may be more than two.

    Args:
        names: of its columns.
    """
    known = {field for field in wanted if _known(names, field, ()) is not None}
    if set(wanted) != set(PAIR):
        return known == set(wanted)
    return len(known) + sum(map(is_language, names)) >= 2


def _asked(names: Sequence[str], field: str, asked: Any, place: str) -> int:
    """Return the place of the column that an option asks for."""
    if type(asked) is int:
        return asked - 1
    plain = [name.strip().lower() for name in names]
    if asked in names:
        return list(names).index(asked)
    if str(asked).lower() in plain:
        return plain.index(str(asked).lower())
    raise DataError(
        f"{place}: {field}={printable(asked)}: has no such column{nearest(str(asked), names)}; "
        f"it has {printable_few(names, 8)}"
    )


def _known(names: Sequence[str], field: str, taken: Any) -> int | None:
    """Return the place of the one column whose name says that it holds the field."""
    found = [
        number
        for number, name in enumerate(names)
        if name.strip().lower() in NAMES[field] and number not in taken
    ]
    return found[0] if found else None
