"""What a scan found, in sentences: each kind once, counted, with its first few files."""

from collections.abc import Iterable, Sequence

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import printable, printable_few
from convatlas.text import count_text

Remark = tuple[str, str]
Pair = tuple[str, str, str, str]


def with_reasons(ignored: Iterable[str | Sequence[str]]) -> list[Remark]:
    """Return ignored files with their reasons; runs before these were stored have files only."""
    return [
        (row, IMAGES.not_named) if isinstance(row, str) else (row[0], row[1]) for row in ignored
    ]


def findings(
    *,
    broken: Sequence[Remark],
    renamed: Sequence[Remark],
    ignored: Sequence[Remark],
    leaks: Sequence[Pair],
    conflicts: Sequence[Pair],
    kind: FileKind = IMAGES,
) -> list[str]:
    """Return what a person should know before trusting a result, worst first."""
    lines: list[str] = []
    if leaks:
        lines.append(
            f"the same {kind.word} in two splits, {times(leaks)}, so the test accuracy will be "
            f"too high: {pairs(leaks)}"
        )
    if conflicts:
        lines.append(f"the same {kind.word} in two classes, {times(conflicts)}: {pairs(conflicts)}")
    if broken:
        lines.append(f"skipped {files(broken)} that cannot be used: {remarks(broken)}")
    if renamed:
        lines.append(f"used {files(renamed)} with a misleading name: {remarks(renamed)}")
    by_reason: dict[str, list[str]] = {}
    for file, reason in ignored:
        by_reason.setdefault(reason, []).append(file)
    for reason, names in by_reason.items():
        named = sum(map(kind.holds, names))
        by_name = f", {named:,} of them named as {kind.many}" if named else ""
        lines.append(
            f"left out {len(names):,} ({printable(reason)}){by_name}: {printable_few(names)}"
        )
    return lines


def files(rows: Sequence[Remark]) -> str:
    """Return `1 file`, `2,000 files`."""
    return count_text(len(rows), "files")


def times(rows: Sequence[Pair]) -> str:
    """Return `once`, `2,000 times`."""
    return "once" if len(rows) == 1 else f"{len(rows):,} times"


def remarks(rows: Sequence[Remark]) -> str:
    """Return the first few files, each with its remark."""
    return printable_few(f"{file} ({remark})" for file, remark in rows)


def pairs(rows: Sequence[Pair]) -> str:
    """Return the first few pairs of files, each with its split or class."""
    return printable_few(f"{a} ({kind_a}) and {b} ({kind_b})" for a, kind_a, b, kind_b in rows)
