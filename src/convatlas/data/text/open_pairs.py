"""Open sentence pairs: read them, look for what is wrong, split them, make their vocabularies."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from convatlas.data.names import printable, printable_few
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.broken_share import check_share
from convatlas.data.text.columns import PAIR
from convatlas.data.text.divide import divide, shared_texts
from convatlas.data.text.pair_data import PairData, PairFacts, PairSplit
from convatlas.data.text.read_examples import (
    Example,
    ReadExamples,
    holds_fields,
    in_short,
    read_examples,
)
from convatlas.data.text.stored_examples import PAIRS, reopen_examples
from convatlas.data.text.subwords import Subwords
from convatlas.data.text.vocabulary import (
    CHARACTERS,
    SUBWORDS,
    Characters,
    Vocabulary,
    unknown_counts,
)

LAYOUTS = (
    "a TSV, CSV or JSONL file (perhaps .gz) with a sentence and its translation in each line",
    "a folder with aligned files such as train.en and train.sv, or one of two such files",
)
KIND = "sentence pairs"
MIN_PAIRS = 5000  # of the training part, from which subwords are worth it
MIN_PIECES, MAX_PIECES = 500, 8000  # unless an option says otherwise
PAIRS_A_PIECE = 10
READING = ("source", "target", "split", "max_characters")  # options that say how files are read
Report = Callable[[int, int], None]


def holds_pairs(source: Path) -> bool:
    """Return whether the data look like sentences and their translations."""
    return holds_fields(source, PAIR)


def open_pairs(
    source: str | Path,
    *,
    seed: int,
    max_broken: float,
    options: Mapping[str, Any],
    progress: Report,
    facts: PairFacts | None = None,
) -> PairData:
    """Open sentence pairs for training.

    Args:
        options: of the task: `source`, `target`, `split`, `max_characters`, `vocabulary`,
            `subwords`.
        facts: those of a run, whose vocabularies are then used; None makes new ones.

    Raises:
        DataError: says what is wrong and where.
    """
    path = Path(source)
    found = _read(path, options, max_broken, progress)
    parts = divide(printable(path), found.examples, seed)
    facts = facts or _facts(found, parts["train"], options)
    splits = {name: PairSplit(pairs, facts.vocabularies()) for name, pairs in parts.items()}
    answers = [*in_short(found), *shared_texts(parts), *_unknown(splits), *_repeated(parts)]
    return _data(path, seed, splits, found, answers, facts, options)


def open_pairs_test(
    source: str | Path, facts: PairFacts, *, max_broken: float, progress: Report
) -> PairData:
    """Open sentence pairs of a run's languages as one split, `test`.

    Raises:
        DataError: says what is wrong and where.
    """
    path = Path(source)
    found = _read(path, facts.options, max_broken, progress)
    splits = {"test": PairSplit(found.examples, facts.vocabularies())}
    return _data(path, 0, splits, found, [*in_short(found), *_unknown(splits)], facts, {})


def reopen_pairs(stored: Path, source: str | Path | None, facts: PairFacts) -> PairData:
    """Open the splits that `PairData.save` wrote, with the vocabularies of the run.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the file is damaged, or the data are gone or others.
    """
    return reopen_examples(stored, PAIRS, source, partial(open_pairs, facts=facts), "sentences")


def _read(
    path: Path, options: Mapping[str, Any], max_broken: float, progress: Report
) -> ReadExamples:
    found = read_examples(path, PAIR, options, progress)
    check_share(printable(path), found.broken, found.total, max_broken, "lines")
    return found


def _facts(found: ReadExamples, train: Sequence[Example], options: Mapping[str, Any]) -> PairFacts:
    """Make the vocabularies of the training part, and measure its sentences."""
    source, target = _vocabularies(train, options)
    lengths = [
        (len(source.encode(each.fields[0])), len(target.encode(each.fields[1]))) for each in train
    ]
    return PairFacts(
        source_name=found.names[0],
        target_name=found.names[1],
        source_vocabulary=source.to_dict(),
        target_vocabulary=None if target is source else target.to_dict(),
        longest_source=max(one for one, _ in lengths) + 1,
        longest_target=max(other for _, other in lengths) + 1,
        usual_symbols=round(median(length + 1 for pair in lengths for length in pair)),
        frequent_target=Counter(each.fields[1] for each in train).most_common(1)[0][0],
        options={key: options[key] for key in READING if options.get(key) is not None},
    )


def _vocabularies(
    train: Sequence[Example], options: Mapping[str, Any]
) -> tuple[Vocabulary, Vocabulary]:
    """Return characters of each language, or subwords that both share.

    Subwords make sentences about three times shorter, but each of them must be there often enough.
    """
    sides = [[each.fields[side] for each in train] for side in (0, 1)]
    kind = options.get("vocabulary") or (SUBWORDS if len(train) >= MIN_PAIRS else CHARACTERS)
    if kind == SUBWORDS:
        both = [text for pair in zip(*sides, strict=True) for text in pair]
        shared = Subwords.of(both, options.get("subwords") or _usual_pieces(len(train)))
        return shared, shared
    return Characters.of(sides[0]), Characters.of(sides[1])


def _usual_pieces(pairs: int) -> int:
    """Return how many subwords suit as many training pairs."""
    return max(MIN_PIECES, min(MAX_PIECES, pairs // PAIRS_A_PIECE))


def _unknown(splits: Mapping[str, PairSplit]) -> list[str]:
    """Say which characters the vocabulary lacks, a line for each split that has some.

    A character of the training part lacks a symbol where it is there once only.
    """
    lines = []
    for name, split in splits.items():
        counts = [
            unknown_counts(vocabulary, texts)
            for vocabulary, texts in zip(
                split.vocabularies, (split.sources, split.references), strict=True
            )
        ]
        both = counts[0] + counts[1]
        if both:
            few = printable_few((f"'{character}'" for character, _ in both.most_common()), 5)
            lines.append(
                f"{name}: characters that the vocabulary lacks: {few}, {both.total():,} in all"
            )
    return lines


def _repeated(parts: Mapping[str, Sequence[Example]]) -> list[str]:
    """Say how many pairs of the training part are there more than once."""
    train = [each.fields for each in parts["train"]]
    again = len(train) - len(set(train))
    return [f"{again:,} training pairs repeat another one"] if again else []


def _data(
    path: Path,
    seed: int,
    splits: dict[str, PairSplit],
    found: ReadExamples,
    answers: list[str],
    facts: PairFacts,
    options: Mapping[str, Any],
) -> PairData:
    scan = ScanReport(total=found.total, readable=len(found.examples), answers=answers, kind=KIND)
    return PairData.at(path, seed, splits, scan, facts, options)
