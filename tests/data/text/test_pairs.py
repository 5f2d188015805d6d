"""Splits, vocabularies and batches of sentence pairs."""

import json
from pathlib import Path

import pytest
import torch

from convatlas.data.sources.stored_parts import learnt_digests
from convatlas.data.text.batches import LengthBatches, padded
from convatlas.data.text.divide import divide, shared_texts
from convatlas.data.text.open_pairs import open_pairs, open_pairs_test, reopen_pairs
from convatlas.data.text.pair_data import PairFacts
from convatlas.data.text.read_examples import Example
from convatlas.data.text.stored_vocabulary import stored_vocabulary
from convatlas.data.text.subwords import Subwords
from convatlas.data.text.vocabulary import Characters
from convatlas.errors import DataError

WORDS = {"red": "röd", "car": "bil", "sees": "ser", "old": "gammal", "the": "den", "dog": "hund"}


def sentence(number: int, most: int = 5) -> list[str]:
    return [list(WORDS)[number // 6**place % 6] for place in range(1 + number % most)]


def write_pairs(path: Path, count: int, first: int = 0) -> Path:
    """Sentences of one to five words, translated word by word."""
    rows = [sentence(n) for n in range(first, first + count)]
    lines = [f"{' '.join(row)}\t{' '.join(WORDS[w] for w in row)}\n" for row in rows]
    path.write_text("en\tsv\n" + "".join(lines), encoding="utf-8")
    return path


def opened(path, **options):
    return open_pairs(
        path, seed=0, max_broken=0.05, options=options, progress=lambda done, total: None
    )


def test_equal_sentences_stay_in_one_split_and_the_seed_fixes_it():
    examples = [Example(f"p:{n}", (f"text {n % 40}", f"{n}")) for n in range(100)]
    parts = divide("p", examples, seed=0)
    texts = {split: {each.fields[0] for each in part} for split, part in parts.items()}
    assert not texts["train"] & texts["test"]
    assert not texts["val"] & (texts["test"] | texts["train"])
    assert sum(map(len, parts.values())) == 100
    assert 10 <= len(parts["test"]) <= 13
    assert divide("p", examples, seed=0) == parts != divide("p", examples, seed=1)
    assert shared_texts(parts) == []


def test_stated_splits_stay_and_what_they_share_is_told():
    examples = [Example(f"p:{n}", (f"text {n}", ""), "train") for n in range(20)]
    examples += [Example("p:99", ("text 3", ""), "test")]
    parts = divide("p", examples, seed=0)
    assert [each.place for each in parts["test"]] == ["p:99"]
    assert len(parts["val"]) == 2
    parts = divide("p", [*examples, Example("p:98", ("new", ""), "val")], seed=0)
    assert shared_texts(parts) == [
        "the same text in two splits, once, so the test figure will be too high: "
        "p:3 (train) and p:99 (test)"
    ]
    with pytest.raises(DataError, match="10 examples or more to train on, got 3"):
        divide("p", examples[:3], seed=0)
    with pytest.raises(DataError, match="examples that differ"):
        divide("p", [Example(f"p:{n}", ("same", "")) for n in range(20)], seed=0)


def test_characters_that_are_there_once_or_never_are_unknown():
    vocabulary = Characters.of(["abba", "åäå", "€"])
    assert len(vocabulary) == 3 + len("abå")
    assert vocabulary.encode("abåä€") == [3, 4, 5, 2, 2]
    assert vocabulary.decode([0, 3, 2, 5, 1]) == "aå"
    assert vocabulary.unknown("a€b€ä") == ["€", "ä"]
    again = stored_vocabulary(json.loads(json.dumps(vocabulary.to_dict())))
    assert again.encode("abba") == vocabulary.encode("abba")


def test_subwords_are_the_same_each_time_and_give_the_text_back():
    pytest.importorskip("sentencepiece")
    texts = [" ".join(sentence(n)) for n in range(300)]
    vocabulary = Subwords.of(texts, 40)
    assert Subwords.of(texts, 40).model == vocabulary.model
    again = stored_vocabulary(json.loads(json.dumps(vocabulary.to_dict())))
    symbols = again.encode("the old dog")
    assert len(symbols) < len("the old dog")
    assert min(symbols) >= 3
    assert again.decode([0, *symbols, 2, 1]) == "the old dog"
    assert again.unknown("the €dog") == ["€"]
    assert 2 in again.encode("€")
    with pytest.raises(DataError, match="no 5 subwords can be made"):
        Subwords.of(texts, 5)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"kind": "words"},
        {"kind": "characters", "characters": "aa"},
        {"kind": "subwords", "model": "@"},
    ],
)
def test_damaged_vocabularies_are_refused(stored):
    with pytest.raises(DataError):
        stored_vocabulary(stored)


@pytest.mark.parametrize("vocabulary", ["characters", "subwords"])
def test_stored_splits_open_again_with_the_runs_vocabularies(tmp_path, vocabulary):
    path = write_pairs(tmp_path / "p.tsv", 120)
    data = opened(path, vocabulary=vocabulary, subwords=40)
    data.save(tmp_path / "split.json")
    facts = PairFacts.model_validate(json.loads(json.dumps(data.facts())))
    again = reopen_pairs(tmp_path / "split.json", None, facts)
    assert again.facts() == data.facts()
    for name, split in data.splits.items():
        assert again.splits[name].examples == split.examples
    source, target = again.splits["test"].read(0)
    assert source[-1] == target[-1] == 1
    assert (
        again.splits["test"].vocabularies[1].decode(target.tolist())
        == (again.splits["test"].references[0])
    )
    known = learnt_digests(json.loads((tmp_path / "split.json").read_text())["splits"])
    trained = {data.digests[file] for file in data.splits["train"].files}
    assert trained <= known
    assert not {data.digests[file] for file in data.splits["test"].files} & known
    write_pairs(path, 120, first=1)
    with pytest.raises(DataError, match="sentences are others than when the run was made"):
        reopen_pairs(tmp_path / "split.json", None, facts)


def test_vocabularies_are_those_of_the_training_part_alone_and_the_unknown_is_told(tmp_path):
    path = tmp_path / "p.tsv"
    rows = ["en\tsv\tsplit", *(f"ab {'a' * n}\tba\ttrain" for n in range(1, 20))]
    path.write_text("\n".join([*rows, "xx\txx\tval", "xy\tba\ttest"]), encoding="utf-8")
    data = opened(path)
    assert data.facts_.source_vocabulary["characters"] == " ab"
    assert data.facts_.longest_source == 23
    warnings = " / ".join(data.scan.warnings())
    assert "test: characters that the vocabulary lacks: 'x', 'y', 2 in all" in warnings
    assert "val: characters that the vocabulary lacks: 'x', 4 in all" in warnings
    assert "18 training pairs repeat" not in warnings
    test = open_pairs_test(path, data.facts_, max_broken=0, progress=lambda done, total: None)
    assert len(test.splits["test"]) == 21


def test_batches_hold_sentences_of_alike_lengths_each_once_in_an_order_of_the_seed():
    lengths = torch.randint(1, 60, (1000,), generator=torch.Generator().manual_seed(1)).tolist()
    batches = LengthBatches(lengths, 16, seed=0)
    first, second = list(batches), list(batches)
    assert sorted(place for batch in first for place in batch) == list(range(1000))
    assert len(first) == len(batches)
    assert first != second
    assert list(LengthBatches(lengths, 16, seed=0)) == first
    widest = sum(max(lengths[place] for place in batch) * len(batch) for batch in first)
    assert widest < 1.15 * sum(lengths)  # random batches: about twice as much
    ordered = [place for batch in LengthBatches(lengths, 16, seed=None) for place in batch]
    assert [lengths[place] for place in ordered] == sorted(lengths)
    assert padded([torch.tensor([5, 1]), torch.tensor([1])]).tolist() == [[5, 1], [1, 0]]
