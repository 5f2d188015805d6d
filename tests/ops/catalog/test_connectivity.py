import pytest
import torch
from torch import nn

from convatlas.ops.catalog.connectivity import trace_connectivity, trace_steps
from convatlas.ops.catalog.draw_svg import svg_text
from convatlas.ops.catalog.draw_text import text_lines
from convatlas.ops.catalog.find import KINDS, find_kind
from convatlas.ops.catalog.picture_size import picture_options
from convatlas.ops.catalog.ring import ring_with_chord


def traced(name, **options):
    spec = find_kind(name).spec(**options)
    return trace_connectivity(spec.build(), spec.input)


def test_positions_are_those_of_the_window():
    connectivity = traced("dilated", in_channels=1, out_channels=1, size=7, dims=1)
    offsets = torch.arange(7)[:, None] - torch.arange(7)
    assert torch.equal(connectivity.places, (offsets.abs() == 2) | (offsets == 0))


def test_channels_of_groups_are_blocks_and_a_shuffle_deals_them_out():
    sizes = {"in_channels": 4, "out_channels": 4, "groups": 2, "size": 3}
    blocks = torch.block_diag(*[torch.ones(2, 2)] * 2).bool()
    assert torch.equal(traced("grouped", **sizes).channels, blocks)
    assert torch.equal(traced("shuffled_group", **sizes).channels, blocks[[0, 2, 1, 3]])


def test_the_own_place_is_told_apart_where_it_differs():
    sizes = {"in_channels": 3, "out_channels": 3, "size": 5, "colours": 3}
    connectivity = traced("masked", mask="A", **sizes)
    assert connectivity.channels.all()
    assert connectivity.own is not None
    assert torch.equal(connectivity.own, torch.ones(3, 3).tril(-1).bool())
    assert traced("conv", in_channels=2, out_channels=2, size=3).own is None
    assert traced("strided", in_channels=2, out_channels=2, size=4).own is None


def test_grids_show_the_middle():
    connectivity = traced("transposed", in_channels=1, out_channels=1, size=3)
    # Input (1, 1) of stride 2 and padding 1 feeds outputs 1 to 3.
    expected = torch.zeros(6, 6).bool()
    expected[1:4, 1:4] = True
    assert torch.equal(connectivity.feeds(), expected)
    # Output (3, 3) is fed by inputs 1 and 2.
    assert connectivity.reads().int().tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 1]]


def test_graph_filters_reach_their_hops():
    graph = ring_with_chord(8)
    near = (graph + torch.eye(8)) > 0
    assert torch.equal(traced("first_order", in_channels=1, out_channels=1).places, near)
    two_hops = (near.float() @ near.float()) > 0
    connectivity = traced("chebyshev", in_channels=2, out_channels=2, order=3)
    assert torch.equal(connectivity.places, two_hops)
    assert traced("spectral", in_channels=1, out_channels=1).places.all()


def test_steps_are_the_convolutions_that_run():
    spec = find_kind("separable").spec(in_channels=3, out_channels=2, size=3)
    filtering, mixing = trace_steps(spec.build(), spec.input)
    assert torch.equal(filtering.channels, torch.eye(3).bool())
    assert filtering.reads().all()
    assert mixing.channels.all()
    assert int(mixing.reads().sum()) == 1
    alone = find_kind("conv").spec(in_channels=2, out_channels=2, size=3)
    assert trace_steps(alone.build(), alone.input) == []


def test_a_weight_of_zero_is_no_line():
    layer = nn.Conv1d(2, 1, 1, bias=False)
    nn.init.zeros_(layer.weight[:, :1])
    assert trace_connectivity(layer, (2, 3)).channels.tolist() == [[False, True]]


@pytest.mark.parametrize("name", KINDS)
def test_a_picture_of_the_small_one_shows_the_same_structure(name):
    kind = find_kind(name)
    options = dict(kind.options)
    for key in options:
        if key.endswith("channels"):
            options[key] *= 8
    spec = kind.spec(**options)
    small = picture_options(options, axes=len(spec.input) - 1)
    drawn = kind.spec(**small)
    assert all(small[key] <= options[key] for key in small if key.endswith("channels"))
    assert drawn.input[0] * 8 < spec.input[0] + 8 * 8
    connectivity = trace_connectivity(drawn.build(), drawn.input)
    svg = svg_text(connectivity, name, "detail", trace_steps(drawn.build(), drawn.input))
    assert svg.startswith("<svg xmlns=")
    assert len(svg) < 60_000


def test_small_numbers_are_drawn_as_they_are():
    options = {"in_channels": 4, "out_channels": 6, "kernel": 3, "size": 5, "groups": 2}
    assert picture_options(options, axes=2) == options
    whole = {"in_channels": 512, "out_channels": 512, "kernel": 3, "size": 14, "groups": 512}
    small = picture_options(whole, axes=2)
    assert small["groups"] == small["in_channels"] == small["out_channels"] == 6
    large = {"kernel": 31, "size": 64, "dilation": 2}
    assert picture_options(large, axes=1) == {"kernel": 7, "size": 15, "dilation": 2}
    assert picture_options(large | {"kernel": 30}, axes=1)["kernel"] == 6


def test_text_marks_what_is_read():
    spec = find_kind("causal").spec(in_channels=1, out_channels=2, size=4)
    assert text_lines(trace_connectivity(spec.build(), spec.input)) == [
        "positions: a row for each output, a column for each input",
        "# . . .",
        "# # . .",
        "# # # .",
        ". # # #",
        "",
        "channels: a row for each output, a column for each input",
        "#",
        "#",
    ]


def test_svg_has_one_line_for_each_connection():
    spec = find_kind("causal").spec(in_channels=1, out_channels=1, size=4)
    connectivity = trace_connectivity(spec.build(), spec.input)
    svg = svg_text(connectivity, "a < b", "size=4")
    assert svg.count("M") == int(connectivity.places.sum() + connectivity.channels.sum()) == 9 + 1
    assert "<title>a &lt; b</title>" in svg


def test_a_ring_has_a_chord():
    graph = ring_with_chord(6)
    assert graph.sum(1).tolist() == [3, 2, 2, 3, 2, 2]
    assert torch.equal(graph, graph.T)
    with pytest.raises(ValueError, match="vertices must be 4 or more, got 3"):
        ring_with_chord(3)
