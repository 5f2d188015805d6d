from convatlas.atlas.docstring import arguments, first_line, heading, source

MODULE = """A network: what is new in it.

More about it: this is no heading.

Source:  One and Two, 2018, arXiv:1801.00001,
         table 2.
Claims:  claims/some_network.toml
Differs: dropout.
"""


class Network:
    """Image classifier.

    Args:
        width: multiplies every
            channel count.
        in_channels, num_classes: ends of the network.

    Shape: (n, 3, h, w) -> (n, c)
    """


def test_the_parts_of_a_docstring_are_found():
    assert first_line(MODULE) == "A network: what is new in it."
    assert heading(MODULE, "Source") == "One and Two, 2018, arXiv:1801.00001, table 2."
    assert heading(MODULE, "Differs") == "dropout."
    assert heading(MODULE, "Raises") == ""


def test_options_are_described_by_the_args_of_the_class():
    assert arguments(Network.__doc__) == {
        "width": "multiplies every channel count.",
        "in_channels": "ends of the network.",
        "num_classes": "ends of the network.",
    }


def test_no_docstring_says_nothing():
    assert first_line(None) == heading(None, "Source") == ""
    assert arguments(None) == {}


def test_a_network_has_its_own_paper_where_a_file_has_two():
    two = "Nets.\n\nSource:  One, 2012, section 3 (`old`); Two, 2014,\n         page 1 (`new`).\n"
    assert source(two, "old") == "One, 2012, section 3"
    assert source(two, "new") == "Two, 2014, page 1"
    assert source(MODULE, "some_network") == "One and Two, 2018, arXiv:1801.00001, table 2"
