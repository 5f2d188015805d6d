"""Text for people, terminals and files: `numbers.py` writes figures, `escape.py` writes names.

Here: how a value is written wherever it appears, on a page, in a terminal or in a file; and
`symbols.py`, the first numbers of every vocabulary.
Not here: parsing what users type (`typed_numbers.py`) and tables (`tables.py`).
"""

from convatlas.text.escape import (
    printable,
    printable_few,
    shell_word,
    stored_name,
    true_name,
    unicode_only,
    utf8_path,
)
from convatlas.text.numbers import count_text, format_number, shape_text

__all__ = [
    "count_text",
    "format_number",
    "printable",
    "printable_few",
    "shape_text",
    "shell_word",
    "stored_name",
    "true_name",
    "unicode_only",
    "utf8_path",
]
