import pytest

from convatlas.blocks import check_option
from convatlas.errors import UsageError


def test_allowed_values_pass():
    check_option("Net", "depth", 50, {18: "a", 50: "b"})


def test_other_values_are_refused_with_the_allowed_ones():
    with pytest.raises(UsageError, match="Net: depth must be one of 18, 50, got 49"):
        check_option("Net", "depth", 49, {18: "a", 50: "b"})
