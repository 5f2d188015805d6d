import json

import pytest

from convatlas.atlas import build
from convatlas.atlas.index import INDEX, Indexed, read_index, write_index


@pytest.mark.parametrize("cores", [1, 2])
def test_networks_are_counted_in_their_order_on_any_number_of_cores(monkeypatch, cores):
    """That each count is the stored one is held name by name in tests/test_every_name.py."""
    names = list(read_index())[:9]  # more than one core takes at once
    monkeypatch.setattr(build, "model_names", lambda: names)
    monkeypatch.setattr(build.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    counted = json.loads(json.dumps(list(map(vars, build.count_registered()))))
    stored = json.loads(INDEX.read_text("utf-8"))[:9]
    for row in (*counted, *stored):
        del row["peak_bytes"]  # differs a little between versions of torch
    assert counted == stored


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
