import pytest

from convatlas.claims.loader import find_claims, load_claims, load_papers
from convatlas.errors import DataError

HEAD = """
title = "A Network"
authors = "One, Two"
year = 2018
family = "some_network"

[defaults]
input = [3, 32, 32]
source = "T"
"""
ROW = {
    "model": '"some_network"',
    "quantity": '"params"',
    "printed": '"3.4M"',
    "value": "3.4e6",
    "where": '"table 4"',
    "check": '"count"',
}


def write(folder, *rows, head=HEAD, name="some_network"):
    lines = [head]
    for row in rows:
        lines.append("[[claim]]")
        lines += [f"{key} = {value}" for key, value in row.items() if value is not None]
    (folder / f"{name}.toml").write_text("\n".join(lines), "utf-8")
    return folder


def test_a_row_takes_the_defaults_of_its_file(tmp_path):
    (claim,) = load_claims(write(tmp_path, ROW))
    assert (claim.paper, claim.model, claim.input) == ("some_network", "some_network", (3, 32, 32))
    assert (claim.source, claim.unit, claim.dataset) == ("T", "", None)


def test_the_tolerance_follows_the_print_unless_it_is_given(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (printed,) = load_claims(write(tmp_path / "a", ROW))
    assert printed.admits(3_350_000)
    assert not printed.admits(3_349_000)
    assert not printed.admits(3_451_000)
    (given,) = load_claims(write(tmp_path / "b", ROW | {"within": "0.1"}))
    assert given.admits(3_700_000)


def test_signals_are_measured_in_decibels(tmp_path):
    change = {"quantity": '"sdri_db"', "printed": '"13.3"', "value": "13.3", "dataset": '"speech"'}
    (claim,) = load_claims(write(tmp_path, ROW | change | {"check": '"train"'}))
    assert (claim.unit, claim.value) == ("dB", 13.3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"check": '"guess"'}, "check must be one of count, measure, train, got 'guess'"),
        ({"source": '"X"'}, "source must be one of T, P, got 'X'"),
        ({"value": "3.5e6"}, "value must be what is printed or have a note"),
        ({"printed": '"lots"'}, "must be a number such as"),
        ({"where": None}, "must have where"),
        ({"vaule": "1"}, "no field 'vaule'; nearest: value"),
        ({"differs": '"because"'}, "differs and counted must stand together"),
        ({"counted": "3_400_001", "differs": '"no"'}, "counted must be off the published figure"),
        ({"quantity": '"speed"'}, "quantity must be params, macs or end in its unit"),
        ({"quantity": '"top1_percent"', "printed": '"3.4%"', "value": "3.4"}, "can have check"),
        ({"counted": "9", "differs": '"a"', "unchecked": '"b"'}, "counted or unchecked, got both"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused_by_file_and_row(tmp_path, change, message):
    good = ROW | {"where": '"table 5"'}
    with pytest.raises(DataError, match=message) as raised:
        load_claims(write(tmp_path, good, ROW | change))
    assert str(raised.value).startswith("claims/some_network.toml, row 2 (some_network, ")


@pytest.mark.parametrize(
    ("check", "message"),
    [("train", "a trained figure must have a dataset"), ("measure", "must say in unchecked why")],
)
def test_what_is_not_counted_says_why_or_where(tmp_path, check, message):
    row = ROW | {"quantity": '"top1_percent"', "printed": '"3%"', "value": "3"}
    with pytest.raises(DataError, match=message):
        load_claims(write(tmp_path, row | {"check": f'"{check}"'}))


def test_a_counted_row_without_input_is_refused(tmp_path):
    head = HEAD.replace("input = [3, 32, 32]\n", "")
    with pytest.raises(DataError, match="must have an input"):
        load_claims(write(tmp_path, ROW, head=head))


def test_the_same_figure_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"row 2 .* got the same as row 1"):
        load_claims(write(tmp_path, ROW, ROW))


def test_a_head_without_authors_is_refused(tmp_path):
    head = HEAD.replace('authors = "One, Two"\n', "")
    with pytest.raises(DataError, match=r"claims/some_network.toml: must open with authors"):
        load_claims(write(tmp_path, ROW, head=head))


def test_a_file_that_is_not_toml_is_named(tmp_path):
    (tmp_path / "broken.toml").write_text("title = ", "utf-8")
    with pytest.raises(DataError, match=r"claims/broken.toml: must be TOML in UTF-8"):
        load_claims(tmp_path)


def test_older_papers_come_first(tmp_path):
    write(tmp_path, ROW, name="a_later")
    write(tmp_path, ROW, head=HEAD.replace("2018", "1998"), name="z_earlier")
    assert [paper.key for paper in load_papers(tmp_path)] == ["z_earlier", "a_later"]
    assert [claim.paper for claim in load_claims(tmp_path)] == ["z_earlier", "a_later"]


def test_find_claims_gives_only_the_networks_asked_for(tmp_path):
    write(tmp_path, ROW, ROW | {"model": '"another"'})
    assert [claim.model for claim in find_claims(["another"], tmp_path)] == ["another"]
