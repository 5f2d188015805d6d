"""Open texts with classes: read them, look for what is wrong, split them, make a vocabulary."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from convatlas.data.names import printable, printable_few
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.broken_share import check_share
from convatlas.data.sources.classes import similar_classes
from convatlas.data.text.columns import LABEL, TEXT
from convatlas.data.text.divide import divide, shared_texts
from convatlas.data.text.labelled_data import TextData, TextFacts, TextSplit, per_class
from convatlas.data.text.read_examples import (
    Example,
    ReadExamples,
    holds_fields,
    in_short,
    read_examples,
)
from convatlas.data.text.read_folders import holds_text_files, read_folders
from convatlas.data.text.stored_examples import TEXTS, reopen_examples
from convatlas.data.text.subwords import Subwords
from convatlas.data.text.vocabulary import (
    CHARACTERS,
    SUBWORDS,
    Characters,
    Vocabulary,
    knows_nothing,
)
from convatlas.data.text.words import WORDS, Words, words_of
from convatlas.errors import DataError

LAYOUTS = (
    "a TSV, CSV or JSONL file (perhaps .gz) with a column of texts and one of labels",
    "a folder CLASS/files of .txt files, or train/ val/ test/, each of such",
)
FIELDS = (TEXT, LABEL)
AUTO = "auto"  # of the vocabulary: words, or characters where many words would be unknown
KINDS = (AUTO, WORDS, CHARACTERS, SUBWORDS)
MAX_UNKNOWN_SHARE = 0.1  # of the words of texts that were not trained on, for words to be chosen
PIECES = 4000  # of subwords, unless an option says otherwise
READING = ("text", "label", "split", "max_characters")  # options that say how files are read
Report = Callable[[int, int], None]


def holds_texts(source: Path) -> bool:
    """Return whether the data look like texts with classes."""
    return holds_text_files(source) or holds_fields(source, FIELDS)


def open_texts(
    source: str | Path,
    *,
    seed: int,
    max_broken: float,
    options: Mapping[str, Any],
    progress: Report,
    facts: TextFacts | None = None,
) -> TextData:
    """Open texts with classes for training.

    Args:
        options: of the task: `text`, `label`, `split`, `max_characters`, `vocabulary`, `subwords`.
        facts: those of a run, whose classes and vocabulary are then used; None makes new ones.

    Raises:
        DataError: says what is wrong and where.
    """
    path = Path(source)
    found = _read(path, options, max_broken, progress)
    parts = divide(printable(path), found.examples, seed)
    facts = facts or _facts(path, found, parts, options)
    _check_classes(path, parts, facts.classes)
    splits = _splits(parts, facts)
    answers = [*in_short(found), *shared_texts(parts), *_conflicts(found), *_unknown(splits)]
    return _data(path, seed, splits, found, answers, facts, options)


def open_texts_test(
    source: str | Path, facts: TextFacts, *, max_broken: float, progress: Report
) -> TextData:
    """Open texts of a run's classes as one split, `test`; only a stated one where there is one.

    Raises:
        DataError: says what is wrong and where.
    """
    path = Path(source)
    found = _read(path, facts.options, max_broken, progress, need_train=False)
    stated = [each for each in found.examples if each.split == "test"]
    parts = {"test": stated or found.examples}
    _check_classes(path, parts, facts.classes)
    splits = _splits(parts, facts)
    answers = [*in_short(found), *_unknown(splits), *_longer(splits["test"], facts.longest)]
    return _data(path, 0, splits, found, answers, facts, {})


def reopen_texts(stored: Path, source: str | Path | None, facts: TextFacts) -> TextData:
    """Open the splits that `TextData.save` wrote, with classes and vocabulary of the run.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the file is damaged, or the data are gone or others.
    """
    return reopen_examples(stored, TEXTS, source, partial(open_texts, facts=facts), "texts")


def _read(
    path: Path,
    options: Mapping[str, Any],
    max_broken: float,
    progress: Report,
    *,
    need_train: bool = True,
) -> ReadExamples:
    if path.is_dir():
        found = read_folders(path, options, progress, need_train=need_train)
    else:
        found = read_examples(path, FIELDS, options, progress)
    what = "files" if path.is_dir() else "lines"
    check_share(printable(path), found.broken, found.total, max_broken, what)
    return found


def _facts(
    path: Path,
    found: ReadExamples,
    parts: Mapping[str, Sequence[Example]],
    options: Mapping[str, Any],
) -> TextFacts:
    """Make class map and vocabulary of the training part, and measure its texts."""
    classes = sorted({each.fields[1] for each in parts["train"]})
    if len(classes) < 2:
        raise DataError(
            f"{printable(path)}: must contain at least two classes, got {len(classes)}: "
            f"{printable_few(classes)}"
        )
    vocabulary = _vocabulary(parts, options)
    lengths = [len(vocabulary.encode(each.fields[0])) + 1 for each in parts["train"]]
    return TextFacts(
        classes=classes,
        vocabulary=vocabulary.to_dict(),
        longest=max(lengths),
        usual_symbols=round(median(lengths)),
        whole_files=path.is_dir(),
        options={key: options[key] for key in READING if options.get(key) is not None},
    )


def _vocabulary(parts: Mapping[str, Sequence[Example]], options: Mapping[str, Any]) -> Vocabulary:
    """Return what an option asks for, or words if those of the validation part are mostly known."""
    kind = options.get("vocabulary") or AUTO
    texts = [each.fields[0] for each in parts["train"]]
    if kind == SUBWORDS:
        return Subwords.of(texts, options.get("subwords") or PIECES)
    if kind == CHARACTERS:
        return Characters.of(texts)
    words = Words.of(texts)
    if kind == WORDS:
        return words
    unseen = [words_of(each.fields[0]) for each in parts["val"]]
    known = set(words.words)
    missed = sum(word not in known for text in unseen for word in text)
    few = missed <= MAX_UNKNOWN_SHARE * sum(map(len, unseen))
    return words if few else Characters.of(texts)


def _splits(parts: Mapping[str, Sequence[Example]], facts: TextFacts) -> dict[str, TextSplit]:
    vocabulary = facts.read_with()
    train = parts.get("train")
    return {n: TextSplit(each, facts.classes, vocabulary, train) for n, each in parts.items()}


def _check_classes(
    path: Path, parts: Mapping[str, Sequence[Example]], classes: Sequence[str]
) -> None:
    """Refuse labels that were not trained on."""
    for name, examples in parts.items():
        for each in examples:
            if each.fields[1] not in classes:
                raise DataError(
                    f"{printable(path)}: {each.place} ({name}) has the label "
                    f"{printable(each.fields[1])}, which no training text has; there are "
                    f"{printable_few(classes, 10)}"
                )


def _conflicts(found: ReadExamples) -> list[str]:
    """Say which texts have several labels, and which labels are easily one."""
    labels: dict[str, set[str]] = defaultdict(set)
    places: dict[str, str] = {}
    for each in found.examples:
        labels[each.fields[0]].add(each.fields[1])
        places.setdefault(each.fields[0], each.place)
    several = [places[text] for text, names in labels.items() if len(names) > 1]
    lines = similar_classes({each.fields[1] for each in found.examples})
    if several:
        lines.append(f"{len(several):,} texts have several labels: {printable_few(several)}")
    return lines


def _unknown(splits: Mapping[str, TextSplit]) -> list[str]:
    """Say how many texts have only symbols that the vocabulary lacks."""
    lines = []
    for name, split in splits.items():
        lost = [
            each.place for each in split.examples if knows_nothing(split.vocabulary, each.fields[0])
        ]
        if lost:
            lines.append(
                f"{name}: of {len(lost):,} texts the vocabulary knows nothing: "
                f"{printable_few(lost)}"
            )
    return lines


def _longer(split: TextSplit, longest: int) -> list[str]:
    """Say how many texts are longer than any that was trained on."""
    long = [
        each.place
        for each in split.examples
        if len(split.vocabulary.encode(each.fields[0])) + 1 > longest
    ]
    if not long:
        return []
    return [
        f"{len(long):,} texts have more than the {longest:,} symbols of the longest text that was "
        f"trained on: {printable_few(long)}"
    ]


def _data(
    path: Path,
    seed: int,
    splits: dict[str, TextSplit],
    found: ReadExamples,
    answers: list[str],
    facts: TextFacts,
    options: Mapping[str, Any],
) -> TextData:
    small = Counter(split.labels[i] for split in splits.values() for i in range(len(split)))
    rare = [facts.classes[label] for label, count in small.items() if count < 10]
    if rare and "train" in splits:
        answers = [*answers, f"fewer than 10 texts each: {printable_few(sorted(rare))}"]
    scan = ScanReport(
        total=found.total,
        readable=len(found.examples),
        answers=answers,
        per_class=per_class(splits),
        kind="texts",
    )
    return TextData.at(path, seed, splits, scan, facts, options)
