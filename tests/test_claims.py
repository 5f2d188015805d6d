"""Every published figure that can be counted is held to the count at full size.

Figures of a plain name come out of the index, each of which tests/test_every_name.py counts.
"""

from convatlas.atlas.compare import CHANGED, compare, compare_all, indexed, summarise
from convatlas.claims.loader import load_claims
from convatlas.models import model_names

COUNTED = [claim for claim in load_claims() if claim.check == "count" and not claim.unchecked]


def row_id(claim):
    options = "".join(f",{name}={value}" for name, value in claim.options.items())
    return f"{claim.paper}:{claim.model}{options}:{claim.quantity}:{claim.where}".replace(" ", "_")


def test_published_figures_hold_or_differ_as_recorded():
    rows = [(row_id(claim), compare(claim, indexed)) for claim in COUNTED]
    assert [(name, row.why) for name, row in rows if row.status == CHANGED] == []


def test_every_row_has_a_status_and_every_other_than_holds_a_reason():
    rows = compare_all(load_claims(), indexed)
    assert sum(summarise(rows).values()) == len(rows) == len(load_claims())
    assert all(row.why for row in rows if row.status != "holds")


def test_a_reason_names_a_cause_or_says_what_was_tried():
    """That the layers add up to another number is no reason; nor is that no reason is known."""
    for claim in load_claims():
        if claim.differs and ("not known" in claim.differs or "does not say what" in claim.differs):
            assert "tried" in claim.differs, row_id(claim)
        assert not claim.differs or not claim.differs.endswith("by our rule"), row_id(claim)


def test_rows_of_networks_that_are_built_name_them_as_registered():
    """A misspelt name of a network would else hide behind `train` and `measure`."""
    unknown = {claim.model for claim in load_claims() if claim.model not in model_names()}
    explained = {claim.model for claim in load_claims() if claim.unchecked}
    layers = {"conv_3x3_512", "separable_3x3_512", "separable_3x3_384"}
    assert unknown - explained - layers == set()
