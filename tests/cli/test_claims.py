import json
from collections import Counter
from dataclasses import replace

import pytest

from convatlas.claims.loader import load_claims
from convatlas.cli.main import main

KEYS = {"model", "quantity", "published", "ours", "unit", "where", "check", "status", "why"}


def run(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        main(["claims", *args])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def test_every_published_figure_is_given_with_its_status(capsys):
    code, out, err = run(capsys, "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert len(answer["rows"]) == len(load_claims())
    assert all(set(row) >= KEYS for row in answer["rows"])
    assert answer["summary"] == {
        "holds": 0,
        "differs": 0,
        "not_checked": 0,
        "changed": 0,
        **Counter(row["status"] for row in answer["rows"]),
    }


def test_each_row_says_the_tolerance_that_its_status_follows_from(capsys):
    _, out, _ = run(capsys, "--json")
    rows = json.loads(out)["rows"]
    held = [row for row in rows if row["ours"] is not None]
    assert {row["status"] for row in held} == {"holds", "differs"}
    for row in held:
        within = abs(row["ours"] - row["published"]) <= row["tolerance"] * (1 + 1e-9)
        assert within == (row["status"] == "holds"), row
    assert {row["tolerance"] for row in rows if row["status"] == "not_checked"} == {None}
    printed = [r for r in held if r["model"] == "mobilenet_v2_w1.4" and r["printed"] == "6.9M"]
    assert printed
    assert all(r["tolerance"] == pytest.approx(0.05e6) for r in printed)  # half the last digit


def test_rows_are_chosen_by_network(capsys):
    _, out, _ = run(capsys, "mobilenet_v2_w1.4", "--json")
    rows = json.loads(out)["rows"]
    assert {row["model"] for row in rows} == {"mobilenet_v2_w1.4"}
    params = next(row for row in rows if row["quantity"] == "params")
    assert (params["published"], params["ours"], params["status"]) == (6.9e6, 6_108_776, "differs")


def test_rows_are_chosen_by_pattern_or_paper(capsys):
    _, out, _ = run(capsys, "shufflenet_v2_x*", "--json")
    assert len({row["model"] for row in json.loads(out)["rows"]}) == 3
    _, out, _ = run(capsys, "preact_resnet", "--json")
    assert {row["model"] for row in json.loads(out)["rows"]} >= {"resnet200", "resnet110_cifar"}


def test_a_network_without_figures_has_no_rows(capsys):
    code, out, _ = run(capsys, "lenet5_modern", "--json")
    assert code == 0
    assert json.loads(out)["rows"] == []


def test_off_a_terminal_the_table_is_plain_text(capsys):
    _, out, _ = run(capsys, "lenet5")
    assert " ".join(out.splitlines()[1].split()) == (
        "lenet5 params 60,000 60,000 holds - lenet, section II.B -"
    )
    assert out.endswith("1 holds, 0 differs, 2 not checked, 0 changed\n")


def test_on_a_terminal_each_reason_stands_once_below_the_table(capsys, monkeypatch):
    monkeypatch.setattr("convatlas.cli.claim_rows.on_terminal", lambda: True)
    _, out, _ = run(capsys, "resnet50", "resnet101")
    assert out.count("needs training on imagenet") == 1
    assert out.count("the figure looks cut, not rounded") == 1
    assert "  (1)" in out
    assert "\n(1) " in out


def test_a_count_that_changed_fails_the_command(capsys, monkeypatch):
    claim = next(c for c in load_claims() if c.model == "lenet5" and c.quantity == "params")
    other = replace(claim, value=61_000.0, printed="61,000")
    monkeypatch.setattr("convatlas.cli.claims.load_claims", lambda: (other,))
    code, out, _ = run(capsys)
    assert code == 1
    assert "counted 60,000, published 61,000, and no reason is recorded" in out


def test_an_unknown_name_is_answered_with_near_ones(capsys):
    code, _, err = run(capsys, "mobilenetv2")
    assert code == 2
    assert "no figures of 'mobilenetv2'; nearest: mobilenet_v2" in err
