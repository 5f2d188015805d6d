"""Open texts without labels: read them, look for what is wrong, split them, make a vocabulary."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from convatlas.data.names import printable, printable_few
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.broken_share import check_share
from convatlas.data.text.divide import divide, shared_texts
from convatlas.data.text.line_data import LineData, LineFacts, LineSplit
from convatlas.data.text.read_examples import Example, in_short
from convatlas.data.text.read_plain import PlainTexts, read_plain
from convatlas.data.text.stored_examples import LINES, reopen_examples
from convatlas.data.text.subwords import Subwords
from convatlas.data.text.vocabulary import (
    CHARACTERS,
    SUBWORDS,
    Characters,
    Vocabulary,
    unknown_counts,
)
from convatlas.errors import DataError

LAYOUTS = (
    "a .txt file (perhaps .gz) whose lines are texts, or a folder of such files",
    "with --task language: a TSV, CSV or JSONL file with a column of texts; train/ val/ test/ of "
    ".txt files",
)
KINDS = (CHARACTERS, SUBWORDS)
PIECES = 2000  # of subwords, unless an option says otherwise
MAX_LINE_CHARACTERS = 200  # of a text, unless an option says otherwise; longer lines are cut
MAX_UNKNOWN_CHARACTERS = 0.2  # of the characters of texts that a run is tested on
COLUMNS = ("text", "split")
Report = Callable[[int, int], None]


def open_lines(
    source: str | Path,
    *,
    seed: int,
    max_broken: float,
    options: Mapping[str, Any],
    progress: Report,
    facts: LineFacts | None = None,
) -> LineData:
    """Open texts without labels for training.

    Args:
        options: of the task: `text`, `split`, `max_characters`, `vocabulary`, `subwords`.
        facts: those of a run, whose vocabulary is then used; None makes a new one.

    Raises:
        DataError: says what is wrong and where.
    """
    path = Path(source)
    most = options.get("max_characters") or MAX_LINE_CHARACTERS
    texts = _read(path, options, most, max_broken, progress)
    parts = divide(printable(path), texts.found.examples, seed)
    facts = facts or _facts(parts["train"], options, most)
    vocabulary = facts.read_with()
    splits = {name: LineSplit(each, vocabulary, parts["train"]) for name, each in parts.items()}
    answers = [*_in_short(texts), *shared_texts(parts), *_unknown(splits)]
    return _data(path, seed, splits, texts, answers, facts, options)


def open_lines_test(
    source: str | Path, facts: LineFacts, *, max_broken: float, progress: Report
) -> LineData:
    """Open texts as one split, `test`; only a stated one where there is one.

    Raises:
        DataError: says what is wrong and where; too many characters are unknown to the run.
    """
    path = Path(source)
    texts = _read(path, facts.options, facts.max_characters, max_broken, progress)
    examples = texts.found.examples
    stated = [each for each in examples if each.split == "test"]
    splits = {"test": LineSplit(stated or examples, facts.read_with())}
    _check_known(path, splits["test"])
    answers = [*_in_short(texts), *_unknown(splits)]
    return _data(path, 0, splits, texts, answers, facts, {})


def reopen_lines(stored: Path, source: str | Path | None, facts: LineFacts) -> LineData:
    """Open the splits that `LineData.save` wrote, with the vocabulary of the run.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the file is damaged, or the data are gone or others.
    """
    return reopen_examples(stored, LINES, source, partial(open_lines, facts=facts), "texts")


def _read(
    path: Path, options: Mapping[str, Any], most: int, max_broken: float, progress: Report
) -> PlainTexts:
    texts = read_plain(path, options, most, progress)
    found = texts.found
    check_share(printable(path), found.broken, found.total, max_broken, "lines")
    return texts


def _facts(train: Sequence[Example], options: Mapping[str, Any], most: int) -> LineFacts:
    """Make the vocabulary of the training part, and measure its texts."""
    texts = [each.fields[0] for each in train]
    if options.get("vocabulary") == SUBWORDS:
        vocabulary: Vocabulary = Subwords.of(texts, options.get("subwords") or PIECES)
    else:
        vocabulary = Characters.of(texts)
    lengths = [len(vocabulary.encode(text)) + 1 for text in texts]
    return LineFacts(
        vocabulary=vocabulary.to_dict(),
        longest=max(lengths),
        usual_symbols=round(median(lengths)),
        max_characters=most,
        options={key: options[key] for key in COLUMNS if options.get(key) is not None},
    )


def _in_short(texts: PlainTexts) -> list[str]:
    """Say what was left out, and what was cut."""
    lines = in_short(texts.found)
    if texts.empty:
        lines.append(
            f"passed over {len(texts.empty):,} empty lines: {printable_few(texts.empty, 3)}"
        )
    if texts.cut:
        lines.append(
            f"cut {len(texts.cut):,} long lines into several texts (--set max_characters=): "
            f"{printable_few(texts.cut, 3)}"
        )
    return lines


def _unknown(splits: Mapping[str, LineSplit]) -> list[str]:
    """Say which characters the vocabulary lacks, a line for each split that has some."""
    lines = []
    for name, split in splits.items():
        counts = unknown_counts(split.vocabulary, split.texts)
        if counts:
            few = printable_few((f"'{character}'" for character, _ in counts.most_common()), 5)
            lines.append(
                f"{name}: characters that the vocabulary lacks: {few}, {counts.total():,} in all"
            )
    return lines


def _check_known(path: Path, split: LineSplit) -> None:
    """Refuse texts in another script than the run was trained on."""
    counts, total = unknown_counts(split.vocabulary, split.texts), sum(map(len, split.texts))
    if counts.total() > MAX_UNKNOWN_CHARACTERS * total:
        few = printable_few((f"'{character}'" for character, _ in counts.most_common()), 5)
        raise DataError(
            f"{printable(path)}: {counts.total() / total:.0%} of its characters are unknown to "
            f"the network, such as {few}; it was trained on other texts"
        )


def _data(
    path: Path,
    seed: int,
    splits: dict[str, LineSplit],
    texts: PlainTexts,
    answers: list[str],
    facts: LineFacts,
    options: Mapping[str, Any],
) -> LineData:
    scan = ScanReport(
        total=texts.found.total,
        readable=len(texts.found.examples),
        answers=answers,
        kind="texts",
    )
    return LineData.at(path, seed, splits, scan, facts, options)
