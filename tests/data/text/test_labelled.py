"""Opening texts with classes: tables, folders, vocabularies, and what is wrong with them."""

import json

import pytest
import torch

from convatlas.data.text.asked_documents import asked_documents
from convatlas.data.text.labelled_data import TextFacts
from convatlas.data.text.open_labelled import (
    holds_texts,
    open_texts,
    open_texts_test,
    reopen_texts,
)
from convatlas.data.text.stored_vocabulary import stored_vocabulary
from convatlas.data.text.words import Words, words_of
from convatlas.errors import DataError
from convatlas.text.symbols import END, UNKNOWN


def opened(path, **options):
    return open_texts(path, seed=0, max_broken=0.2, options=options, progress=lambda a, b: None)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    lines = [f"a {'fine' if n % 2 else 'dull'} film,{'good' if n % 2 else 'bad'}" for n in range(2)]
    rows = [line.replace("film", f"film {n}") for n in range(20) for line in lines]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


def folder(root, split=""):
    for label, word in (("good", "fine"), ("bad", "dull")):
        place = root / split / label
        place.mkdir(parents=True)
        for n in range(15):
            (place / f"{n}.txt").write_text(f"a {word} film\nof the year {n}\n")
    return root


def test_a_table_and_a_folder_are_told_and_hold_the_same_parts(table, tmp_path):
    assert holds_texts(table)
    data = opened(table)
    assert data.classes == ("bad", "good")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 32,
        "val": 4,
        "test": 4,
    }
    files = folder(tmp_path / "files")
    assert holds_texts(files)
    read = opened(files)
    assert read.facts_.whole_files
    assert read.splits["train"].text(0).endswith(str(read.splits["train"].files[0])[:-4][-1])
    assert "\n" not in read.splits["train"].text(0)
    assert sum(map(len, read.splits.values())) == 30


def test_the_symbols_of_a_text_end_with_its_end(table):
    split = opened(table, vocabulary="words").splits["train"]
    symbols = split.read(0)
    assert symbols.dtype == torch.int64
    assert symbols[-1] == END
    assert split.vocabulary.decode(symbols.tolist()) in split.text(0)
    assert split.labels[0] == data_label(split)


def data_label(split):
    return list(split.classes).index(split.examples[0].fields[1])


def test_words_are_chosen_where_most_of_them_are_known_and_characters_elsewhere(tmp_path):
    """A word that no two texts share is known in no other one."""
    for known, kind in ((True, "words"), (False, "characters")):
        path = tmp_path / f"{kind}.tsv"
        rows = [
            f"{'fine day' if known else f'fi{n}ne da{n}y'}{' ' * n}.\t{'ab'[n % 2]}"
            for n in range(40)
        ]
        rows = [row.replace(".", " x" * (n % 7)) for n, row in enumerate(rows)]
        path.write_text("sentence\tclass\n" + "\n".join(rows) + "\n")
        assert opened(path).facts_.vocabulary["kind"] == kind


def test_a_vocabulary_of_words_survives_json_and_knows_what_it_lacks():
    words = Words.of(["The film, the Film!", "a film, a day!"])
    assert words_of("It's DONE") == ["it", "'", "s", "done"]
    assert words.words == ("!", ",", "a", "film", "the")
    again = stored_vocabulary(json.loads(json.dumps(words.to_dict())))
    assert again.encode("A film day") == [5, 6, UNKNOWN]
    assert again.decode([5, 6, UNKNOWN, END, 0]) == "a film"
    assert again.unknown("a day of film") == ["day", "of"]
    with pytest.raises(DataError, match="must be a vocabulary of characters, words or subwords"):
        stored_vocabulary({"kind": "words", "words": ["a", "a"]})


def test_stored_splits_open_again_and_other_texts_are_refused(table, tmp_path):
    data = opened(table)
    data.save(tmp_path / "split.json")
    again = reopen_texts(tmp_path / "split.json", None, data.facts_)
    assert [s.files for s in again.splits.values()] == [s.files for s in data.splits.values()]
    table.write_text(table.read_text().replace("film 3", "play 3"))
    with pytest.raises(DataError, match=r"reviews\.csv: its texts are others"):
        reopen_texts(tmp_path / "split.json", None, data.facts_)


def test_other_data_are_one_split_and_a_stated_test_part_alone_counts(table, tmp_path):
    facts = opened(table).facts_
    other = folder(tmp_path / "other", "test")
    folder(other, "train")
    part = open_texts_test(other, facts, max_broken=0.0, progress=lambda a, b: None)
    assert list(part.splits) == ["test"]
    assert len(part.splits["test"]) == 30
    table.write_text("text,label\na film,odd\n")
    with pytest.raises(DataError, match="has the label odd, which no training text has"):
        open_texts_test(table, facts, max_broken=0.0, progress=lambda a, b: None)


def test_what_is_wrong_is_named(table, tmp_path):
    text = table.read_text()
    table.write_text(text + "a fine film 3,bad\n,good\n")
    said = " ".join(opened(table).scan.warnings())
    assert "1 texts have several labels: reviews.csv:9" in said
    assert "left out 1 of 42 lines, each of which has no text of text: reviews.csv:43" in said
    table.write_text("text,label\n" + "".join(f"a film {n},good\n" for n in range(20)))
    with pytest.raises(DataError, match="must contain at least two classes, got 1: good"):
        opened(table)
    bad = folder(tmp_path / "bad")
    (bad / "good" / "0.txt").write_bytes(b"\xff\xfa no text")
    (bad / "good" / "1.txt").write_text(" \n")
    said = " ".join(opened(bad).scan.warnings())
    assert "is not UTF-8: good/0.txt" in said
    assert "has no text: good/1.txt" in said


def test_texts_asked_about_are_lines_or_whole_files_as_they_were_learnt_from(tmp_path):
    facts = {"classes": ["a", "b"], "vocabulary": {}, "longest": 9, "usual_symbols": 5}
    lines, whole = TextFacts(**facts), TextFacts(**facts, whole_files=True)
    file = tmp_path / "some.txt"
    file.write_text("one line\n\nanother\n")
    asked = list(asked_documents(file, lines))
    assert [each.text for each in asked] == ["one line", "", "another"]
    assert asked[1].error == f"{file}:2: is an empty line"
    (alone,) = asked_documents(str(file), whole)
    assert alone.text == "one line another"
    memory = list(asked_documents(["a text", "  "], lines))
    assert memory[0].text == "a text"
    assert memory[1].error == "text 2: is an empty line"
    (gone,) = asked_documents(tmp_path / "gone.txt", whole)
    assert "gone.txt: cannot read the file" in gone.error
    (none,) = asked_documents(tmp_path.parent / tmp_path.name / "some.txt", whole)
    assert none.error is None
