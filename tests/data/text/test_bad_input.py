"""Bad texts of every task that reads texts: each gets its own words, and none of them an answer."""

import pytest
import torch

from convatlas.data.text.labelled_data import TextFacts
from convatlas.data.text.open_labelled import open_texts_test
from convatlas.data.text.open_lines import open_lines
from convatlas.data.text.open_pairs import open_pairs
from convatlas.data.text.read_examples import read_examples
from convatlas.deploy.text_classifier import TextClassifier
from convatlas.errors import DataError
from convatlas.models import create_model
from convatlas.tasks import find_task

ROWS = [f"a line of letters {'ab' * n}" for n in range(1, 30)]
FACTS = TextFacts(
    classes=["bad", "good"],
    vocabulary={"kind": "words", "words": ["a", "dull", "film", "fine"]},
    longest=4,
    usual_symbols=4,
)


def lines_of(path):
    return open_lines(path, seed=0, max_broken=1, options={}, progress=lambda a, b: None)


def pairs_of(path):
    return open_pairs(path, seed=0, max_broken=1, options={}, progress=lambda a, b: None)


def texts_of(path):
    return open_texts_test(path, FACTS, max_broken=1, progress=lambda a, b: None)


PAIRS = "en\tsv\n" + "".join(f"{row}\t{row.upper()}\n" for row in ROWS)
LABELLED = "text\tlabel\na fine film\tgood\na dull film\tbad\n"
LONG = "word " * 300


@pytest.mark.parametrize(
    ("opened", "text", "says"),
    [
        (lines_of, "\n\n".join(ROWS), "passed over 28 empty lines: x.tsv:2"),
        (lines_of, "\n".join([*ROWS, LONG]), "cut 1 long lines into several texts"),
        (pairs_of, PAIRS + "\n", "which is an empty line: x.tsv:31"),
        (pairs_of, PAIRS + "only one\t\n", "which has no text of sv: x.tsv:31"),
        (pairs_of, PAIRS + f"a\t{LONG}\n", "is longer than 1,000 characters"),
        (pairs_of, PAIRS + "€\ta\n", "characters that the vocabulary lacks: '€'"),
        (texts_of, LABELLED + "\n", "which is an empty line: x.tsv:4"),
        (texts_of, LABELLED + "unheard of\tbad\n", "1 texts the vocabulary knows nothing: x.tsv:4"),
        (texts_of, LABELLED + "a a a a\tbad\n", "more than the 4 symbols of the longest text"),
    ],
)
def test_bad_lines_are_named_when_the_data_are_opened(tmp_path, opened, text, says):
    path = tmp_path / ("x.txt" if opened is lines_of else "x.tsv")
    path.write_text(text, encoding="utf-8")
    warnings = " / ".join(opened(path).scan.warnings())
    assert says.replace("x.tsv", path.name) in warnings


def test_files_of_unequal_lengths_are_refused_with_both_counts(tmp_path):
    (tmp_path / "a.en").write_text("one\ntwo\n")
    (tmp_path / "a.sv").write_text("ett\n")
    with pytest.raises(DataError, match=r"a\.en and .*a\.sv: .* lines, got 2 and 1"):
        read_examples(tmp_path / "a.en", ("source", "target"), {})


def test_texts_of_nothing_known_have_an_error_and_longer_ones_a_doubt():
    torch.manual_seed(0)
    network = create_model("text_cnn_small", symbols=7, num_classes=2, width=0.25)
    predictor, task = TextClassifier(network, FACTS), find_task("text")
    asked = ["a fine film", "unheard words", " ", "a dull a dull film", "one fine film"]
    _, answers = task.predict(lambda: predictor, asked, FACTS.model_dump(), None)
    found = list(answers)
    assert [each.label is None for each in found] == [False, True, True, False, False]
    assert found[1].error == "text 2: the network knows none of its words"
    assert found[2].error == "text 3: is an empty line"
    assert task.prediction_doubts(found) == [
        "text 4: has 6 symbols, more than the 4 of the longest text that was trained on"
    ]
