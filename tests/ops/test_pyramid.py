import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.ops import Pyramid, PyramidConv, conv, depthwise_conv, pyramid_conv, pyramid_filter


def test_added_it_is_one_depthwise_filter_of_the_largest_size(draw):
    x, small, large = draw(2, 3, 6, 7), draw(3, 1, 3, 3), draw(3, 1, 5, 5)
    together = large + F.pad(small, (1, 1, 1, 1))
    got = pyramid_filter(x, [small, large], stride=2)
    torch.testing.assert_close(got, depthwise_conv(x, together, stride=2))


def test_laid_side_by_side_the_answers_stay_apart(draw):
    x, small, large = draw(2, 3, 6), draw(3, 1, 3), draw(3, 1, 5)
    got = pyramid_filter(x, [small, large], concat=True)
    torch.testing.assert_close(got[:, :3], depthwise_conv(x, small))
    torch.testing.assert_close(got[:, 3:], depthwise_conv(x, large))
    mixed = draw(4, 6, 1)
    torch.testing.assert_close(
        pyramid_conv(x, [small, large], mixed, concat=True), conv(got, mixed)
    )


@pytest.mark.parametrize("concat", [False, True])
def test_gradients_and_cost(draw, concat):
    x, small, large = draw(2, 2, 4, 5), draw(2, 1, 1, 1), draw(2, 1, 3, 3)
    pointwise = draw(3, 4 if concat else 2, 1, 1)

    def run(x, small, large, pointwise):
        return pyramid_conv(x, [small, large], pointwise, concat=concat)

    assert torch.autograd.gradcheck(run, (x, small, large, pointwise))
    counted = cost.macs(run, x, small, large, pointwise)
    assert counted == 2 * 20 * (2 * (1 + 9) + 2 * 3 * (2 if concat else 1))


@pytest.mark.parametrize("concat", [False, True])
def test_the_layer_of_pydmobilenet_gives_the_function(concat):
    torch.manual_seed(0)
    layer = Pyramid(4, (3, 5, 7), stride=2, concat=concat)
    x = torch.rand(2, 4, 9, 8)
    weights = [filter_.weight for filter_ in layer.filters]
    expected = pyramid_filter(x, weights, stride=2, concat=concat)
    torch.testing.assert_close(layer(x), expected)
    assert layer.out_channels == expected.shape[1]
    assert sum(w.numel() for w in weights) == 4 * (9 + 25 + 49)


@pytest.mark.parametrize("concat", [False, True])
def test_the_module_gives_the_function(concat):
    layer = PyramidConv(4, 6, (1, 3), concat=concat, stride=2)
    x = torch.rand(1, 4, 5, 5)
    weights = list(layer.weights)
    expected = pyramid_conv(x, weights, layer.pointwise, concat=concat, stride=2)
    torch.testing.assert_close(layer(x), expected)


def test_no_filter_is_refused():
    with pytest.raises(ValueError, match="one filter or more a channel, got none"):
        pyramid_filter(torch.zeros(1, 2, 4), [])
    with pytest.raises(ValueError, match=r"odd sizes, one or more, got \(3, 4\)"):
        Pyramid(2, (3, 4), stride=1, concat=False)
