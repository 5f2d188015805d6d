"""Language models as a task: which data are theirs, options, writing on, files of any length."""

import json
import math

import pytest
import torch

from convatlas.data.text.line_data import LineFacts
from convatlas.deploy.language_model import LanguageModel
from convatlas.deploy.onnx_file import OnnxFile, export_onnx
from convatlas.errors import UsageError
from convatlas.models.continue_text import continue_texts
from convatlas.models.translate.bytenet import ByteNetLM
from convatlas.models.translate.hyper_lstm import HyperLSTM
from convatlas.tasks import find_task, recognise_task
from convatlas.text.symbols import END

TASK = find_task("language")
FACTS = LineFacts(
    vocabulary={"kind": "characters", "characters": " abcdef"},
    longest=20,
    usual_symbols=9,
    max_characters=12,
)
NETWORKS = {
    "recurrent": lambda: HyperLSTM(symbols=10, hidden=8, small=4, embedding=2),
    "convolutional": lambda: ByteNetLM(symbols=10, hidden=6, sets=1, dilations=(1, 2)),
}


@pytest.fixture(params=NETWORKS)
def model(request):
    torch.manual_seed(0)
    network = NETWORKS[request.param]()
    for weight in network.parameters():
        torch.nn.init.normal_(weight.requires_grad_(False), std=0.4)
    return LanguageModel(network, FACTS).eval()


def test_lines_alone_are_its_data_and_tables_with_answers_are_not(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("a line\nanother line\n")
    assert recognise_task(file).name == "language"
    file.write_text("text\tlabel\na line\tgood\n")
    assert recognise_task(file).name == "text"
    file.write_text("en\tsv\na line\ten rad\n")
    assert recognise_task(file).name == "translate"
    file.write_text("file,label\nphotos/a.png,cat\n")
    assert recognise_task(file).name == "classify"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vocabulary": "words"}, "vocabulary must be one of characters, subwords"),
        ({"subwords": 100}, "subwords is for --set vocabulary=subwords"),
        ({"max_characters": 1}, "max_characters must be a whole number from 2"),
        ({"text": 0}, "text must be a column's name, or its number from 1"),
        ({"label": "x"}, "'label' is no option here"),
    ],
)
def test_options_are_checked_before_any_work(options, says):
    with pytest.raises(UsageError, match=says):
        TASK.check_options(options)


def test_bits_are_those_of_the_symbols_one_by_one(model):
    text = "fade bad"
    (found,) = model.score([text])
    symbols = [*model.vocabulary.encode(text), END]
    state, last, bits = model.network.start(1), torch.tensor([0]), 0.0
    for symbol in symbols:
        logits, state = model.network.step(last, state)
        bits -= float(logits.double().log_softmax(1)[0, symbol]) / math.log(2)
        last = torch.tensor([symbol])
    assert found.bits == pytest.approx(bits, rel=1e-5)
    assert found.characters == len(text) + 1


def test_a_text_in_company_costs_what_it_costs_alone_and_a_long_one_its_parts(model):
    texts = ["fade", "a bad cab fed a dab", "b", "x"]
    together = model.score(texts)
    alone = [model.score([text])[0] for text in texts]
    assert [t.bits for t in together] == pytest.approx([t.bits for t in alone], rel=1e-5)
    parts = model.score(["a bad cab", "fed a dab"])
    assert together[1].bits == pytest.approx(sum(p.bits for p in parts), rel=1e-5)
    assert together[1].characters == 20
    assert together[3].unknown == ("x",)


def test_what_is_written_is_the_likeliest_symbol_each_time(model):
    starts = [[4, 5], [], [6, 7, 8, 3]]
    for start, more in zip(starts, continue_texts(model.network, starts, 6), strict=True):
        text = list(start)
        for symbol in [*more, *([END] if len(more) < 6 else [])]:
            read = torch.tensor([[*text, 0]])
            logits = model(read)[0, -1].clone()
            logits[[0, 2]] = -math.inf
            assert int(logits.argmax()) == symbol
            text.append(symbol)


def test_a_seed_draws_the_same_texts(model):
    drawn = [model.write(["ab", ""], 10, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_exported_file_reads_texts_of_any_length(model, tmp_path):
    export_onnx(model, tmp_path / "model.onnx", metadata={})
    file = OnnxFile(tmp_path / "model.onnx")
    for count, length in ((1, 1), (2, 31), (3, 4)):
        text = torch.randint(3, 10, (count, length))
        torch.testing.assert_close(file.run(text), model(text), rtol=1e-4, atol=1e-5)


def test_a_text_of_unknown_characters_has_an_error_and_the_others_answers(model):
    _, answers = TASK.predict(lambda: model, ["fade", "xyz", "  ", "bad x"], {}, None)
    found = list(answers)
    assert [each.error is None for each in found] == [True, False, False, True]
    assert "knows none of its characters" in found[1].error
    assert found[3].unknown == ("x",)
    json.dumps(found[0].cells(1))
