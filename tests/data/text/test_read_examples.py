"""Sentence pairs and labelled texts from tables and aligned files, and what is wrong with them."""

import gzip
import json

import pytest

from convatlas.data.text.read_examples import holds_fields, in_short, read_examples
from convatlas.errors import DataError

PAIR, LABELLED = ("source", "target"), ("text", "label")
ROWS = [("Run!", "Spring!", "train"), ('He said "go".', 'Han sa "gå".', "test")]


def written(folder, name, content):
    path = folder / name
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


TSV = "en\tsv\tsplit\n" + "".join("\t".join(row) + "\n" for row in ROWS)
CSV = 'source;target;split\n"Run!";"Spring!";train\n"He said ""go"".";"Han sa ""gå"".";test\n'
OBJECTS = [{"translation": {"en": en, "sv": sv}, "split": split} for en, sv, split in ROWS]
JSONL = "\n".join(json.dumps(each) for each in OBJECTS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.tsv", TSV),
        ("p.tsv.gz", TSV),
        ("p.tsv", TSV.encode("utf-16")),
        ("p.tsv", "\ufeff" + TSV.replace("\n", "\r\n")),
        ("p.csv", CSV),
        ("p.jsonl", JSONL),
        ("p.jsonl.gz", JSONL),
        ("moved", TSV),
        ("moved", CSV),
        ("moved", JSONL),
    ],
)
def test_the_same_pairs_are_read_from_every_form(tmp_path, name, content):
    path = written(tmp_path, name, content)
    assert holds_fields(path, PAIR) == (name != "moved")
    assert not holds_fields(path, LABELLED)
    found = read_examples(path, PAIR, {})
    assert [(*each.fields, each.split) for each in found.examples] == ROWS
    assert found.examples[0].place == f"{name}:{1 if content == JSONL else 2}"


def test_columns_are_named_numbered_or_told_by_language(tmp_path):
    path = written(tmp_path, "p.tsv", "id\ten\tde\tfr\n1\tone\teins\tun\n2\ttwo\tzwei\tdeux\n")
    assert holds_fields(path, PAIR)
    with pytest.raises(DataError, match=r"--set source=COLUMN --set target=COLUMN.*en, de, fr"):
        read_examples(path, PAIR, {})
    found = read_examples(path, PAIR, {"source": "fr", "target": "DE"})
    assert found.examples[1].fields == ("deux", "zwei")
    assert found.names == ("fr", "de")
    bare = written(tmp_path, "bare.tsv", "one\teins\tnote\ntwo\tzwei\tnote\n")
    assert not holds_fields(bare, PAIR)
    found = read_examples(bare, PAIR, {"source": 2, "target": 1})
    assert [each.fields for each in found.examples] == [("eins", "one"), ("zwei", "two")]
    with pytest.raises(DataError, match="source=enn: has no such column; nearest: en"):
        read_examples(path, PAIR, {"source": "enn", "target": "de"})


def test_labelled_texts_and_sensors_are_told_apart(tmp_path):
    path = written(tmp_path, "r.csv", 'text,label\n"good, really",1\n"bad\nidea",0\n')
    assert holds_fields(path, LABELLED)
    assert not holds_fields(path, PAIR)
    found = read_examples(path, LABELLED, {})
    assert [each.fields for each in found.examples] == [("good, really", "1"), ("bad idea", "0")]
    assert [each.place for each in found.examples] == ["r.csv:2", "r.csv:3"]
    sensors = written(tmp_path, "s.csv", "time,a,b\n2024-01-01,1,2\n2024-01-02,1,2\n")
    assert not holds_fields(sensors, PAIR)


def test_every_line_that_cannot_be_used_is_named_with_its_reason(tmp_path):
    lines = [b"en\tsv\tsplit", b"a\tb\ttrain", b"", b"\xff\tb\ttrain", b"a\t \ttrain", b"a\tb"]
    lines += [b"a" * 60 + b"\tb\ttrain", b"a\tb\tlater", "e\u0301\t b  c\ttest".encode()]
    path = written(tmp_path, "p.tsv", b"\n".join(lines))
    found = read_examples(path, PAIR, {"max_characters": 50})
    assert dict(found.broken) == {
        "p.tsv:3": "is an empty line",
        "p.tsv:4": "is not UTF-8",
        "p.tsv:5": "has no text of sv",
        "p.tsv:6": "has 2 columns, not 3",
        "p.tsv:7": "is longer than 50 characters (--set max_characters=)",
        "p.tsv:8": "has the split later, not train, val or test",
    }
    assert found.examples[-1].fields == ("é", "b c")  # composed, single spaces
    assert "left out 1 of 8 lines, each of which is not UTF-8: p.tsv:4" in in_short(found)
    broken = written(tmp_path, "p.jsonl", '{"en": "a", "sv": "b"}\n[1]\n{"en": \n{"en": "c"}\n')
    reasons = dict(read_examples(broken, PAIR, {}).broken)
    assert reasons == {
        "p.jsonl:2": "is no JSON object",
        "p.jsonl:3": "is no JSON",
        "p.jsonl:4": "has no text of sv",
    }


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.tsv", "", "holds no rows"),
        ("p.tsv", "en\tsv\n", "holds no rows"),
        ("p.tsv", "en\tsv\n\t\n", "no line can be used: p.tsv:2 is an empty line"),
        ("p.csv", 'en,sv\n"a,b\n', "cannot be read as CSV"),
        (
            "p.tsv",
            "en\tsv\tsplit\na\tb\ttrain\na\tb\t\n",
            "filled in every line or in none, p.tsv:3",
        ),
    ],
)
def test_files_that_cannot_be_used_at_all(tmp_path, name, content, says):
    with pytest.raises(DataError, match=says):
        read_examples(written(tmp_path, name, content), PAIR, {})
    (tmp_path / "cut.tsv.gz").write_bytes(gzip.compress(TSV.encode())[:-9])
    with pytest.raises(DataError, match=r"cut.tsv.gz: cannot be unpacked"):
        read_examples(tmp_path / "cut.tsv.gz", PAIR, {})


def test_aligned_files_are_found_by_their_names(tmp_path):
    for stem, count in (("train", 3), ("val", 1), ("test_2016_flickr", 2)):
        for language in ("en", "sv"):
            text = "".join(f"{language} {stem} {n}\n" for n in range(count))
            written(tmp_path, f"{stem}.{language}.gz", text)
    assert holds_fields(tmp_path, PAIR)
    found = read_examples(tmp_path, PAIR, {})
    assert found.names == ("en", "sv")
    assert [each.split for each in found.examples].count("test") == 2
    assert read_examples(tmp_path, PAIR, {"target": "en"}).names == ("sv", "en")
    one = read_examples(tmp_path / "train.sv.gz", PAIR, {})
    assert one.names == ("sv", "en")
    assert [each.fields for each in one.examples][2] == ("sv train 2", "en train 2")
    written(tmp_path, "train.de.gz", "de\nde\nde\n")
    with pytest.raises(DataError, match=r"--set source= and --set target= must say .* de, en, sv"):
        read_examples(tmp_path, PAIR, {})


def test_aligned_files_must_agree(tmp_path):
    written(tmp_path, "a.en", "one\ntwo\n")
    written(tmp_path, "a.sv", "ett\n")
    with pytest.raises(DataError, match=r"same number of lines, got 2 and 1"):
        read_examples(tmp_path / "a.en", PAIR, {})
    written(tmp_path, "a.sv", "ett\n\n")
    assert read_examples(tmp_path, PAIR, {}).broken == [("a.en:2", "has no text of sv")]
    written(tmp_path, "b.en", "three\n")
    with pytest.raises(DataError, match=r"b.en: must have a file b.sv beside it"):
        read_examples(tmp_path, PAIR, {"source": "en", "target": "sv"})
