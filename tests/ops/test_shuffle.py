import pytest
import torch

from convatlas import cost
from convatlas.ops import ShuffledGroupConv, conv, shuffle_channels, shuffled_group_conv


@pytest.mark.parametrize("size", [(3,), (2, 3), (2, 1, 3)])
def test_channel_i_of_group_g_moves_to_place_i_times_groups_plus_g(draw, size):
    x = draw(2, 12, *size).detach()
    got = shuffle_channels(x, 3)
    for group in range(3):
        for i in range(4):
            assert torch.equal(got[:, i * 3 + group], x[:, group * 4 + i])


def test_shuffling_back_takes_the_other_factor(draw):
    x = draw(1, 12, 2).detach()
    assert torch.equal(shuffle_channels(shuffle_channels(x, 3), 4), x)
    assert torch.equal(
        shuffle_channels(x.unsqueeze(3), 3), torch.nn.functional.channel_shuffle(x[..., None], 3)
    )


@pytest.mark.parametrize("shuffled", [True, False])
def test_without_a_shuffle_a_group_never_sees_the_others(draw, shuffled):
    first, second = draw(9, 3, 1), draw(9, 3, 1)

    def run(x):
        middle = conv(x, first, groups=3)
        return conv(shuffle_channels(middle, 3) if shuffled else middle, second, groups=3)

    slopes = torch.autograd.functional.jacobian(run, draw(1, 9, 1))
    depends = slopes[0, :, 0, 0, :, 0] != 0
    blocks = torch.block_diag(*[torch.ones(3, 3)] * 3).bool()
    assert torch.equal(depends, torch.ones(9, 9).bool() if shuffled else blocks)


def test_gradients_and_cost(draw):
    x, weight = draw(2, 4, 5), draw(6, 2, 3)

    def run(*inputs):
        return shuffled_group_conv(*inputs, groups=2)

    assert torch.autograd.gradcheck(run, (x, weight))
    assert cost.macs(run, x, weight) == 2 * 5 * 4 * 6 * 3 // 2


def test_the_module_has_the_sheets_weights():
    layer = ShuffledGroupConv(240, 240, groups=3)
    assert layer.weight.numel() == 19_200
    x = torch.rand(1, 240, 2, 2)
    torch.testing.assert_close(layer(x), shuffled_group_conv(x, layer.weight, groups=3))


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="must be a multiple of groups, got 4 for 3"):
        shuffle_channels(torch.zeros(1, 4, 2), 3)
