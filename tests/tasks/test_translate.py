"""The task of translation: what is read, written, refused and doubted."""

import html
import io
import json
import sys
from pathlib import Path
from random import Random
from statistics import stdev
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import convatlas as ca
from convatlas.cli.main import main
from convatlas.cli.translate import translator_of
from convatlas.data.text.open_pairs import open_pairs
from convatlas.data.text.pair_data import PairSplit
from convatlas.data.text.read_examples import Example
from convatlas.data.text.subwords import Subwords
from convatlas.deploy.translator import Translator
from convatlas.errors import DataError, UsageError
from convatlas.explain.translations.evaluation import TranslationEvaluation
from convatlas.models.translate.bytenet import ByteNet
from convatlas.tasks.onnx_translate_snippet import translate_runtime_code
from convatlas.text.symbols import PADDING, UNKNOWN
from convatlas.train.tasks.translate import SymbolPairs, Translate
from convatlas.train.translation_figures import (
    BLEU,
    CHRF,
    translation_figures,
    translation_interval,
)

pytest.importorskip("sacrebleu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "p.tsv"
    rows = [f"{'ab' * (n % 5 + 1)} {'a' * (n // 5 + 1)}" for n in range(60)]
    lines = [f"{row}\t{row.upper()}" for row in rows]
    path.write_text("en\tsv\n" + "\n".join(lines), encoding="utf-8")
    return open_pairs(path, seed=0, max_broken=0, options={}, progress=lambda done, total: None)


def network(data):
    torch.manual_seed(0)
    source, target = data.facts_.vocabularies()
    return (
        ByteNet(
            source_symbols=len(source),
            target_symbols=len(target),
            hidden=6,
            sets=1,
            dilations=(1, 2),
        )
        .eval()
        .requires_grad_(False)
    )


def training(data, **options):
    usual = {"longest": data.facts_.longest_target, "label_smoothing": 0.1, "symbol_dropout": 0.0}
    val = data.splits["val"]
    sets = [SymbolPairs(data.splits[name]) for name in ("train", "val")]
    return Translate(*sets, val, range(len(val)), **{**usual, **options})


@torch.no_grad()
def test_the_loss_is_that_of_each_sentence_alone(data):
    """Without padding, symbol by symbol, smoothed by hand."""
    task, model = training(data), network(data)
    batches, _ = task.loaders(8, seed=0)
    _, target, places = batch = next(iter(batches))
    assert (target == PADDING).any()
    total, count = 0.0, 0
    for place in places.tolist():
        one, other = data.splits["train"].read(place)
        logs = model(one[None], other[None])[0].log_softmax(1)
        total += float(sum(-0.9 * logs[t, s] - 0.1 * logs[t].mean() for t, s in enumerate(other)))
        count += len(other)
    assert float(task.loss(model, batch)) == pytest.approx(total / count, rel=1e-5)


def test_dropped_symbols_are_unknown_in_training_alone_and_never_what_is_to_be_written(data):
    task = training(data, symbol_dropout=0.5)
    seen = []

    class Recording(torch.nn.Module):
        def forward(self, source, written):
            seen.append((source, written))
            return F.one_hot(written, 40).float()

    model = Recording()
    batch = next(iter(task.loaders(16, seed=0)[0]))
    for mode in (True, False):
        task.loss(model.train(mode), batch)
    (dropped, written), (source, target) = seen
    assert torch.equal(source, batch[0])
    assert torch.equal(target, batch[1])
    for read, whole in ((dropped, batch[0]), (written, batch[1])):
        assert 0.3 < float((read == UNKNOWN)[whole != PADDING].float().mean()) < 0.7
        assert torch.equal(read == PADDING, whole == PADDING)


def test_validation_is_that_of_each_sentence_and_of_its_translation(data):
    task, model, split = training(data), network(data), data.splits["val"]
    _, batches = task.loaders(4, seed=0)
    found = task.validate(model, batches, lambda x: x)
    lost, right, count = 0.0, 0, 0
    for place in range(len(split)):
        source, target = split.read(place)
        logits = model(source[None], target[None])[0]
        lost += float(F.cross_entropy(logits, target, reduction="sum"))
        right += int((logits.argmax(1) == target).sum())
        count += len(target)
    assert found["val_loss"] == pytest.approx(lost / count, rel=1e-5)
    assert found["val_symbol_accuracy"] == pytest.approx(right / count)
    made = [each.text for each in Translator(model, data.facts_).translate(split.sources)]
    expected = translation_figures(made, split.references)
    assert found["val_chrf"] == pytest.approx(expected["chrf"])
    assert found["val_bleu"] == pytest.approx(expected["bleu"])


def test_a_batch_of_translations_is_that_of_each_sentence_with_either_search(data):
    translator = Translator(network(data), data.facts_)
    texts = [*data.splits["test"].sources, "  ab \t zz "]
    for beam in (1, 3):
        together = translator.translate(texts, beam=beam)
        assert together == [translator.translate([text], beam=beam)[0] for text in texts]
    assert together[-1].unknown == ("z",)
    assert together[-1].symbols == len("ab zz") + 1


def evaluation(data, translations):
    pairs = [Example(f"p:{n}", (f"a {n}", f"A {n}")) for n in range(len(translations))]
    split = PairSplit(pairs, data.facts_.vocabularies())
    return TranslationEvaluation(data.facts_, split, translations, [9] * len(translations))


def test_translations_that_are_no_better_than_copies_or_one_sentence_are_doubted(data):
    right = evaluation(data, [f"A {n}" for n in range(20)])
    assert right.doubts() == []
    assert right.figures["chrf"] == pytest.approx(100)
    assert right.figures["equal"] == 1
    copies = evaluation(data, [f"a {n}" for n in range(20)])
    assert "the copied source has a chrF of" in copies.doubts()[0]
    same = evaluation(data, [data.facts_.frequent_target] * 20)
    doubts = " / ".join(same.doubts())
    assert "the most frequent sentence has a chrF of" in doubts
    assert "1 different translations for 20 sentences" in doubts
    long = TranslationEvaluation(data.facts_, right.split, right.translations, [999] * 20)
    assert "20 sentences are longer than any that it was trained on" in long.doubts()


def test_the_interval_is_that_of_scores_of_sentences_drawn_anew(data):
    random = Random(0)
    letters = "abcdefg "
    references = ["".join(random.choices(letters, k=20)) for _ in range(60)]
    made = [r if random.random() < 0.5 else r[:9] + "xxx" + r[12:] for r in references]
    for metric in (CHRF, BLEU):
        low, high = translation_interval(metric, made, references)
        drawn = []
        for _ in range(200):
            places = random.choices(range(60), k=60)
            scores = translation_figures(
                *([each[n] for n in places] for each in (made, references))
            )
            drawn.append(scores[metric.key])
        assert high - low == pytest.approx(2 * 1.96 * stdev(drawn), rel=0.2)
        middle = translation_figures(made, references)[metric.key]
        assert low < middle < high
    right = evaluation(data, [f"A {n}" for n in range(20)])
    assert right.record()["interval"] == pytest.approx([100, 100])


def test_scores_by_length_cover_every_sentence(data):
    judged = evaluation(data, [f"A {n}" for n in range(10)] + ["?"] * 12)
    rows = judged.lengths()
    assert sum(row["sentences"] for row in rows) == 22
    assert sum(row["equal"] for row in rows) == 10
    assert [row["characters"][0] for row in rows] == sorted(row["characters"][0] for row in rows)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vocabulary": "words"}, "vocabulary must be one of characters, subwords"),
        ({"vocabulray": "words"}, "no option 'vocabulray'; nearest: vocabulary"),
        ({"metric": "rouge"}, "metric must be one of chrf, bleu"),
        ({"label_smoothing": 1}, "label_smoothing must be from 0 to below 1"),
        ({"source": 0}, "source must be the name of a column or file ending"),
        ({"subwords": 500, "vocabulary": "characters"}, "subwords is for another vocabulary"),
        ({"max_characters": 0}, "max_characters must be a whole number from 1"),
    ],
)
def test_options_are_checked_before_any_work(tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        ca.fit(tmp_path, task="translate", **options)


@pytest.mark.slow
def test_it_learns_words_and_their_translations(translate):
    figures = translate.run.config.figures
    assert figures["chrf"] > figures["chrf_frequent"] + 5
    assert {"bleu", "equal", "chrf_copied"} <= set(figures)
    page = (translate.run.path / "report.html").read_text(encoding="utf-8")
    pair = translate.run.data().splits["test"].examples[0]
    assert all(html.escape(text) in page for text in pair.fields)
    assert BLEU.words in page


@pytest.mark.slow
def test_each_line_gets_its_answer_or_the_reason_why_not(translate, tmp_path):
    file = tmp_path / "lines.txt"
    long = "the " * 40
    file.write_bytes(f"the old dog\n\nred ł\n{long}\n".encode() + b"\xff\n")
    answers = translate.run.predict(file)
    assert [each.line for each in answers] == [1, 2, 3, 4, 5]
    assert answers[0].translation == translate.run.predict("the old dog")[0].translation
    assert "lines.txt:2: is an empty line" in answers[1].error
    assert answers[2].unknown == ("ł",)
    assert "has 160 symbols, more than the" in answers[3].error
    assert "lines.txt:5: is not UTF-8" in answers[4].error
    assert answers[4].translation is None
    (missing,) = translate.run.predict([str(tmp_path / "gone.txt")])
    assert "gone.txt: cannot read the file" in missing.error
    with pytest.raises(UsageError, match="paths or strings, got int"):
        translate.run.predict([3])


def run_verb(capsys, monkeypatch, *words, lines=None):
    if lines is not None:
        stdin = SimpleNamespace(buffer=io.BytesIO(lines), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stdin)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["translate", *map(str, words)])
    return ended.value.code, capsys.readouterr()


@pytest.mark.slow
def test_the_verb_translates_arguments_and_standard_input_line_by_line(
    translate, capsys, monkeypatch
):
    path = translate.run.path
    expected = translate.run.predict("the old dog")[0].translation
    code, told = run_verb(capsys, monkeypatch, path, "the old dog", "red car")
    assert (code or 0, told.out.splitlines()[0]) == (0, expected)
    assert len(told.out.splitlines()) == 2
    code, told = run_verb(capsys, monkeypatch, path, lines="the old dog\n\nłed\n".encode())
    assert told.out.splitlines()[:2] == [expected, ""]
    assert "standard input:2: is an empty line" in told.err
    assert "standard input:3: the network does not know ł" in told.err
    code, told = run_verb(capsys, monkeypatch, path, "the old dog", "--beam", 4, "--json")
    (answer,) = json.loads(told.out)["translations"]
    beam = translate.run.predictor().translate(["the old dog"], beam=4)[0]
    assert answer["translation"] == beam.text
    code, told = run_verb(capsys, monkeypatch, path, " ")
    assert code == 3
    assert "none of the 1 sentence(s) has a translation" in told.err


def test_a_run_of_another_task_does_not_translate():
    config = SimpleNamespace(task="forecast")
    run = SimpleNamespace(predictor=torch.nn.Identity, config=config)
    with pytest.raises(UsageError, match="r is a run of the task forecast; translations come"):
        translator_of(run, Path("r"))


@pytest.mark.slow
def test_the_code_of_the_report_translates_as_the_run_does(translate, capsys):
    code = translate.task.runtime_code(translate.run.files["onnx"], translate.run.config)
    assert code in html.unescape((translate.run.path / "report.html").read_text(encoding="utf-8"))
    texts = translate.run.data().splits["test"].sources[:3]
    expected = [each.text for each in translate.run.predictor().translate(texts)]
    for text, translation in zip(texts, expected, strict=True):
        capsys.readouterr()
        exec(code.replace("A sentence to translate.", text), {})
        assert capsys.readouterr().out == translation + "\n"


def test_a_missing_library_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(DataError, match=r"translations need sacrebleu.*'convatlas\[text\]'"):
        ca.fit(tmp_path, task="translate")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(DataError, match=r"subwords need sentencepiece.*'convatlas\[text\]'"):
        Subwords.of(["a b"], 10)


@pytest.mark.parametrize("vocabulary", ["characters", "subwords"])
def test_the_code_of_the_report_reads_and_writes_either_vocabulary(
    tmp_path, monkeypatch, capsys, vocabulary
):
    """The network itself stands for the exported file."""
    pytest.importorskip("sentencepiece")
    path = tmp_path / "p.tsv"
    lines = [f"red car {n}\tröd bil {n}" for n in range(40)]
    path.write_text("en\tsv\n" + "\n".join(lines), encoding="utf-8")
    options = {"vocabulary": vocabulary} | ({"subwords": 30} if vocabulary == "subwords" else {})
    data = open_pairs(
        path, seed=0, max_broken=0, options=options, progress=lambda done, total: None
    )
    translator = Translator(network(data), data.facts_)

    class Session:
        def __init__(self, file):
            assert file == "model.onnx"

        def get_modelmeta(self):
            return SimpleNamespace(custom_metadata_map=translator.metadata)

        def run(self, names, feed):
            made = translator(*(torch.from_numpy(feed[name]) for name in ("source", "written")))
            return [made.numpy()]

    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=Session))
    code = translate_runtime_code(Path("model.onnx"), data.facts_)
    for text in ("red car 7", "a €"):
        capsys.readouterr()
        exec(code.replace("A sentence to translate.", text), {})
        assert capsys.readouterr().out == translator.translate([text])[0].text + "\n"
