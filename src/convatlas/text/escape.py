"""Names of files and classes as text: one form for storage, one for people's eyes.

On most systems a file name is a row of bytes and need not be UTF-8. Python keeps each byte that
is not as a lone surrogate, which no JSON, HTML or UTF-8 file can hold. The stored form writes
such a byte as `\\xff`, is plain Unicode, and can be turned back.
"""

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unicodedata import category

# What a stored name uses as an escape, so a literal backslash before it is escaped as well.
_ESCAPE = r"x(?:5c|[89a-f][0-9a-f])|ud[89a-f][0-9a-f]{2}"
_STORED = re.compile(rf"\\(?:{_ESCAPE})")
_TO_STORE = re.compile(rf"[\ud800-\udfff]|\\(?={_ESCAPE})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_RECODED = (sys.getfilesystemencoding(), "utf-8")  # the same but under old locales
_JOINERS = "\u200c\u200d"  # part of words in Persian and Hindi, and of many emoji


def stored_name(name: object) -> str:
    """Return a name as it can be written to any file; the same name where it is plain Unicode."""
    return _TO_STORE.sub(lambda found: _escaped(found[0]), _recoded(str(name), *_RECODED))


def true_name(stored: str) -> str:
    """Return the name as the system takes it: what `stored_name` was given."""
    name = _STORED.sub(lambda found: _unescaped(found[0]), stored)
    return _recoded(name, *reversed(_RECODED))


def _recoded(name: str, old: str, new: str) -> str:
    """Change the coding that a name was read in: a run is opened under any locale."""
    if old == new:
        return name
    try:
        return name.encode(old, "surrogateescape").decode(new, "surrogateescape")
    except UnicodeEncodeError:  # a name that this system cannot have
        return name


def unicode_only(text: str) -> str:
    """Return text that may be a name in either form, in the stored one."""
    return text if text.isprintable() or not _SURROGATE.search(text) else stored_name(text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte, kept by Python's `surrogateescape`
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _unescaped(escape: str) -> str:
    code = int(escape[2:], 16)
    return chr(code + 0xDC00) if 0x80 <= code < 0x100 else chr(code)


def printable(text: object, keep: str = "") -> str:
    """Return the text with control characters, surrogates and direction marks escaped.

    Args:
        text: a name, a path or any value; what `str` makes of it is escaped.
        keep: characters that stay, such as line ends.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c in keep or _harmless(c) else _code(c) for c in text)


def _harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or category(character) == "Zs"


def _code(character: str) -> str:
    if 0xD800 <= ord(character) <= 0xDFFF:
        return _escaped(character)
    return character.encode("unicode_escape").decode("ascii")


def printable_few(names: Iterable[object], most: int = 3) -> str:
    """Return the first few names, and how many more there are."""
    listed = [printable(name) for name in names]
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")


def shell_word(name: object) -> str:
    """Return a name as bash and zsh take it, in characters that every file can hold."""
    plain = printable(name)
    if plain == str(name):
        return shlex.quote(plain)
    encoded = str(name).encode("utf-8", "surrogateescape")
    return "$'" + "".join(_shell_byte(byte) for byte in encoded) + "'"


def _shell_byte(byte: int) -> str:
    character = chr(byte)
    return (
        character
        if character.isprintable() and byte < 0x7F and character not in "\\'"
        else (f"\\x{byte:02x}")
    )


@contextmanager
def utf8_path(path: str | Path) -> Iterator[str]:
    """Give a file's path to a library that takes UTF-8 only; another path of it where need be.

    Raises:
        OSError: the file cannot be opened.
    """
    if not _SURROGATE.search(str(path)):
        yield str(path)
        return
    with open(path, "rb") as file:
        yield f"/dev/fd/{file.fileno()}"
