"""Networks cost what their references cost: other libraries, authors' code, tables of papers.

Read from the index, which a test of its own counts anew; a family whose figures follow from a
formula holds them in its own file.
"""

import tomllib
from pathlib import Path

import pytest

from convatlas.atlas.index import read_index

COUNTS = tomllib.loads(Path(__file__).with_name("counts.toml").read_text("utf-8"))


@pytest.mark.parametrize("family", COUNTS)
def test_params_and_macs_are_those_of_the_reference_networks(family):
    index = read_index()
    counted = {name: [index[name].params, index[name].macs] for name in COUNTS[family]}
    assert counted == COUNTS[family]
