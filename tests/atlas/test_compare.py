from dataclasses import replace

import pytest

from convatlas.atlas.compare import (
    CHANGED,
    DIFFERS,
    HOLDS,
    NOT_CHECKED,
    Figures,
    compare,
    counted,
    indexed,
    summarise,
)
from convatlas.claims.claim import Claim

CLAIM = Claim(
    paper="some_network",
    model="some_network",
    quantity="params",
    printed="3.4M",
    value=3.4e6,
    where="table 4",
    check="count",
    source="P",
    input=(3, 32, 32),
    within=0.05 / 3.4,
)
DIFFERING = replace(CLAIM, counted=3_504_872, differs="another rounding")


def against(claim, params):
    return compare(claim, lambda _: Figures(params=params, macs=0))


@pytest.mark.parametrize("params", [3_350_000, 3_400_000, 3_450_000])
def test_a_count_within_the_rounding_holds(params):
    row = against(CLAIM, params)
    assert (row.status, row.ours, row.why) == (HOLDS, params, "")


def test_a_recorded_disagreement_differs_with_its_reason():
    row = against(DIFFERING, 3_504_872)
    assert (row.status, row.why) == (DIFFERS, "another rounding")


@pytest.mark.parametrize(
    ("claim", "params", "why"),
    [
        (CLAIM, 3_349_000, "no reason is recorded"),
        (CLAIM, 3_451_000, "no reason is recorded"),
        (DIFFERING, 3_400_000, "now the published figure"),  # it suddenly holds
        (DIFFERING, 3_300_000, "now 3,300,000"),  # it fails on the other side
        (DIFFERING, 3_504_873, "now 3,504,873"),  # it drifted by one
    ],
)
def test_any_other_count_is_a_change(claim, params, why):
    row = against(claim, params)
    assert row.status == CHANGED
    assert why in row.why


def test_a_name_that_is_not_registered_is_a_change_and_not_passed_over():
    row = compare(replace(CLAIM, model="mobilenet_v22"), counted)
    assert row.status == CHANGED
    assert "no model 'mobilenet_v22'; nearest: mobilenet_v2" in row.why


def test_a_file_is_its_weights_as_float32():
    claim = replace(CLAIM, quantity="file_bytes", value=13.6e6)
    assert against(claim, 3_400_000).ours == 13_600_000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"check": "train", "dataset": "imagenet"}, "needs training on imagenet"),
        ({"check": "measure", "unchecked": "needs a Pixel 1"}, "needs a Pixel 1"),
        ({"unchecked": "the paper gives no layers"}, "the paper gives no layers"),
    ],
)
def test_what_is_not_counted_says_why(change, why):
    row = against(replace(CLAIM, **change), 3_400_000)
    assert (row.status, row.ours, row.why) == (NOT_CHECKED, None, why)


def test_the_index_and_a_count_give_the_same_figures():
    claim = replace(CLAIM, model="mobilenet_v2_w0.5", input=(3, 224, 224))
    assert indexed(claim) == counted(claim)
    elsewhere = replace(claim, input=(3, 64, 64))
    assert indexed(elsewhere).macs == counted(elsewhere).macs < counted(claim).macs
    options = replace(claim, options={"num_classes": 10})
    assert indexed(options).params == counted(claim).params - 990 * 1281


def test_the_summary_names_every_status():
    found = [against(CLAIM, 3_400_000), against(CLAIM, 1), against(DIFFERING, 3_504_872)]
    assert summarise(found) == {"holds": 1, "differs": 1, "not_checked": 0, "changed": 1}
