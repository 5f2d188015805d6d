import pytest
import torch

from convatlas import cost
from convatlas.ops import MaskedConv, masked_conv, reading_order_mask


def depends(layer, channels, size):
    """(outputs, inputs) in reading order, colours innermost, true where one sees the other."""
    x = torch.randn(1, channels, *size, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(layer.double(), x)[0, ..., 0, :, :, :]
    # (d, h, w, c, h, w) -> (h, w, d, h, w, c)
    return (slopes.permute(1, 2, 0, 4, 5, 3) != 0).reshape(3 * 4 * channels, -1)


@pytest.mark.parametrize(("kind", "diagonal"), [("A", -1), ("B", 0)])
@pytest.mark.parametrize("colours", [1, 3])
def test_no_value_sees_a_later_one(kind, diagonal, colours):
    torch.manual_seed(0)
    layer = MaskedConv(colours, colours, 3, kind=kind, colours=colours, bias=False)
    seen = depends(layer, colours, (3, 4))
    allowed = torch.ones_like(seen).tril(diagonal)
    assert not (seen & ~allowed).any()
    # Row 1, column 1: left and up-left to up-right, and with B (or an earlier colour) itself.
    own = (1 * 4 + 1) * colours + colours - 1
    pixels = 4 * colours + (colours if kind == "B" else colours - 1)
    assert int(seen[own].sum()) == pixels


def test_masks_of_one_colour():
    mask = reading_order_mask(1, 1, (3, 3), "A")[0, 0].int().tolist()
    assert mask == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    mask = reading_order_mask(1, 1, (3, 3), "B")[0, 0].int().tolist()
    assert mask == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert reading_order_mask(1, 1, (5,), "B").flatten().int().tolist() == [1, 1, 1, 0, 0]


def test_the_centre_by_colour():
    """A: red sees nothing, green sees red, blue sees red and green; B: each itself as well."""
    centre = reading_order_mask(3, 3, (1, 1), "A", colours=3)[..., 0, 0].int().tolist()
    assert centre == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    centre = reading_order_mask(3, 3, (1, 1), "B", colours=3)[..., 0, 0].int().tolist()
    assert centre == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    # Maps go round the colours: the fourth is red again.
    assert reading_order_mask(3, 6, (1, 1), "A", colours=3)[3].sum() == 0


def test_hidden_weights_stay_without_effect_after_a_step(draw):
    layer = MaskedConv(1, 1, 3, kind="A").double()
    with torch.no_grad():
        layer.weight.add_(100 * ~layer.mask)
    x = draw(1, 1, 4, 4).detach()
    changed = x.clone()
    changed[0, 0, 2, 2] += 1
    difference = (layer(changed) - layer(x))[0, 0].flatten()
    assert (difference[: 2 * 4 + 3] == 0).all()
    assert difference[2 * 4 + 3] != 0


def test_gradients_and_cost(draw):
    x, weight = draw(2, 3, 4, 4), draw(6, 3, 3, 3)
    mask = reading_order_mask(3, 6, (3, 3), "B", colours=3)
    assert torch.autograd.gradcheck(lambda *t: masked_conv(*t, mask), (x, weight))
    assert cost.macs(masked_conv, x, weight, mask) == 2 * 16 * 3 * 6 * 9


def test_the_effective_weights_of_a_3_by_3_are_5_of_9():
    assert reading_order_mask(1, 1, (3, 3), "B").sum() == 5


@pytest.mark.parametrize(
    ("args", "colours", "message"),
    [
        ((1, 1, (4, 3), "A"), 1, r"kernel must be odd, got \(4, 3\)"),
        ((1, 1, (3,), "C"), 1, "kind must be A or B, got 'C'"),
        ((1, 3, (3,), "A"), 3, "3 colours need as many channels on both sides, got 1 and 3"),
    ],
)
def test_impossible_masks_are_refused(args, colours, message):
    with pytest.raises(ValueError, match=message):
        reading_order_mask(*args, colours=colours)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="must have one shape"):
        masked_conv(torch.zeros(1, 1, 4), torch.zeros(1, 1, 3), torch.ones(1, 1, 5))
