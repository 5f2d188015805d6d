import json

import pytest

from convatlas.atlas.build import count_registered
from convatlas.atlas.index import INDEX, Indexed, read_index, write_index


def test_the_index_is_what_counting_gives_now():
    now = {row["name"]: row for row in json.loads(json.dumps(list(map(vars, count_registered()))))}
    stored = {row["name"]: row for row in json.loads(INDEX.read_text("utf-8"))}
    # What an operator holds inside while it runs differs a little between versions of torch.
    peaks = {
        name: (row.pop("peak_bytes"), now[name].pop("peak_bytes"))
        for name, row in stored.items()
        if name in now
    }
    assert list(stored) == list(now), "index.json is stale: run `make atlas`"
    stale = {name: (row, now[name]) for name, row in stored.items() if row != now[name]}
    assert stale == {}, "index.json is stale: run `make atlas`"
    assert [name for name, (old, new) in peaks.items() if new != pytest.approx(old, rel=0.01)] == []


def test_what_is_written_is_read_back(tmp_path, monkeypatch):
    row = Indexed("some", "classify", 'One, "A Title", 2018', {"k": [3]}, (3, 8, 8), 1, 2, 3, 4)
    monkeypatch.setattr("convatlas.atlas.index.INDEX", tmp_path / "index.json")
    try:
        write_index([row])
        assert dict(read_index()) == {"some": row}
    finally:
        read_index.cache_clear()


def test_the_short_paper_ends_with_its_year():
    paper = 'One, Two, "A Title of 2001", Proceedings 86(11), 1998, arXiv:2001.00001, table 2'
    row = Indexed("some", "classify", paper, {}, (3, 8, 8), 1, 2, 3, 4)
    assert row.short_paper == "One, Two, Proceedings 86(11), 1998"
