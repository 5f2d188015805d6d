"""Texts with classes as a task: which data are theirs, options, files for texts of any length."""

import html

import pytest
import torch

from convatlas.data.text.labelled_data import TextFacts, text_symbols
from convatlas.deploy.onnx_file import OnnxFile
from convatlas.deploy.onnx_program import to_onnx
from convatlas.deploy.parity import check_parity
from convatlas.deploy.text_classifier import TextClassifier
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.tasks import find_task, recognise_task
from convatlas.text.symbols import PADDING, UNKNOWN
from convatlas.train.tasks.texts import with_unknown

TASK = find_task("text")
FACTS = {
    "classes": ["bad", "good"],
    "vocabulary": {"kind": "words", "words": ["a", "dull", "film", "fine"]},
    "longest": 9,
    "usual_symbols": 6,
}


def test_a_table_of_files_is_none_of_texts(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("file,label\na.png,cat\n")
    assert recognise_task(table).name == "classify"
    table.write_text("text,label\na fine film,good\n")
    assert recognise_task(table).name == "text"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vocabulary": "letters"}, "vocabulary must be one of auto, words, characters, subwords"),
        ({"subwords": 100}, "subwords is for --set vocabulary=subwords"),
        ({"symbol_dropout": 1.0}, "symbol_dropout must be from 0 to below 1"),
        ({"max_characters": 0}, "max_characters must be a whole number from 1"),
        ({"text": 0}, "text must be a column's name, or its number from 1"),
        ({"lable": "x"}, "nearest: label|did you mean label"),
        ({"metric": "bleu"}, "--metric must be one of accuracy"),
    ],
)
def test_options_are_checked_before_any_work(options, says):
    with pytest.raises(UsageError, match=says):
        TASK.check_options(options)


def test_unknown_symbols_never_stand_in_place_of_padding():
    torch.manual_seed(0)
    symbols = torch.randint(3, 9, (50, 40))
    symbols[:, 30:] = PADDING
    dropped = with_unknown(symbols, 0.25)
    assert torch.equal(dropped[:, 30:], symbols[:, 30:])
    changed = dropped != symbols
    assert dropped[changed].eq(UNKNOWN).all()
    assert changed[:, :30].double().mean().item() == pytest.approx(0.25, abs=0.03)


def test_texts_of_other_lengths_in_a_batch_are_answered_as_alone():
    facts = TextFacts(**FACTS)
    torch.manual_seed(0)
    network = create_model("dcnn_sentence", symbols=7, num_classes=2, width=0.2)
    predictor = TextClassifier(network, facts)
    texts = ["a film", "a fine film", "a dull a dull a dull film", "unheard words only"]
    items = [text_symbols(text, facts.read_with()) for text in texts]
    together = predictor.predict(items)
    filled = torch.nn.utils.rnn.pad_sequence(items, batch_first=True)
    torch.testing.assert_close(predictor.predict(list(filled)), together, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together.sum(1), torch.ones(4))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["dcnn_sentence", "text_cnn_small"])
def test_an_exported_file_takes_texts_of_any_length(name, tmp_path):
    onnx = pytest.importorskip("onnx")
    facts = TextFacts(**FACTS)
    torch.manual_seed(0)
    predictor = TextClassifier(create_model(name, symbols=7, num_classes=2, width=0.25), facts)
    file = tmp_path / "model.onnx"
    onnx.save(to_onnx(predictor), file)
    random = torch.Generator().manual_seed(0)
    texts = [torch.randint(2, 7, (n,), generator=random) for n in (1, 2, 3, 9, 40, 200)]
    assert check_parity(predictor, file, texts).passed


@pytest.mark.slow
def test_the_code_of_the_report_answers_as_the_run_does(text, capsys):
    code = text.task.runtime_code(text.run.files["onnx"], text.run.config)
    assert code in html.unescape((text.run.path / "report.html").read_text(encoding="utf-8"))
    asked = "This  film is a FINE one, it's unheard-of!"
    capsys.readouterr()
    exec(code.replace("A text to classify.", asked.replace('"', "")), {})
    label, probability = capsys.readouterr().out.split()
    (answer,) = text.run.predict([asked])
    assert label == answer.label
    assert float(probability) == pytest.approx(answer.probability, abs=1e-4)


@pytest.mark.slow
def test_a_run_learns_classes_by_words_and_shows_the_texts(text):
    assert text.run.config.figures["accuracy"] > 0.9
    labels = [each.label for each in text.run.predict(["a fine film", "a dull film"])]
    assert labels == ["good", "bad"]
    page = (text.run.path / "report.html").read_text(encoding="utf-8")
    assert "<blockquote>" in page
    assert OnnxFile(text.run.files["onnx"]).classes == ["bad", "good"]


@pytest.mark.slow
def test_a_file_is_one_text_as_those_that_were_learnt_from(text, tmp_path):
    (tmp_path / "good.txt").write_text("a film\nthat is fine\n")
    (tmp_path / "empty.txt").write_text("\n")
    answers = text.run.predict(tmp_path)
    assert [each.label for each in answers] == [None, "good"]
    assert answers[0].error == f"{tmp_path / 'empty.txt'}: has no text"
