import pytest
import torch
from torch import nn

from convatlas.blocks.same_conv import SameConv
from convatlas.deploy.fold_norm import fold_norm


def norm(channels: int) -> nn.BatchNorm2d:
    """A norm with statistics as after training, not 0 and 1."""
    made = nn.BatchNorm2d(channels)
    for values, low, high in (
        (made.running_mean, -1, 1),
        (made.running_var, 0.2, 3),
        (made.weight.data, 0.5, 2),
        (made.bias.data, -1, 1),
    ):
        assert values is not None
        values.uniform_(low, high)
    return made


class Wired(nn.Module):
    """A convolution and a norm, wired as asked."""

    def __init__(self, wiring: str):
        super().__init__()
        self.wiring = wiring
        self.conv, self.norm, self.other = nn.Conv2d(3, 3, 1), norm(3), norm(3)

    def forward(self, x):
        y = self.conv(x)
        match self.wiring:
            case "norm read by one":
                return self.norm(y).relu()
            case "convolution read by two":
                return self.norm(y) + y
            case "convolution called twice":
                return self.norm(y) + self.other(self.conv(y))
            case "norm called twice":
                return self.norm(self.norm(y))
            case "norm before the convolution":
                return self.conv(self.norm(x))
            case "weights read elsewhere":
                return self.norm(y) * self.conv.weight.mean()
            case "values asked for":
                return self.norm(y) if y.sum() > 0 else self.norm(y + 1)
        raise ValueError(self.wiring)


@pytest.mark.parametrize(
    ("wiring", "folded"),
    [
        ("norm read by one", 1),
        ("convolution read by two", 0),
        ("convolution called twice", 0),
        ("norm called twice", 0),
        ("norm before the convolution", 0),
        ("weights read elsewhere", 0),
        ("values asked for", 0),
    ],
)
def test_only_a_norm_that_alone_reads_a_convolution_is_folded(wiring, folded):
    torch.manual_seed(0)
    network, x = Wired(wiring).eval(), torch.rand(2, 3, 8, 8)
    expected = network(x)
    assert fold_norm(network) == folded
    torch.testing.assert_close(network(x), expected)


def test_a_convolution_with_its_own_padding_is_folded_too():
    torch.manual_seed(0)
    network = nn.Sequential(SameConv(3, 4, 3, stride=2, bias=False), norm(4)).eval()
    x = torch.rand(2, 3, 8, 8)
    expected = network(x)
    assert fold_norm(network) == 1
    torch.testing.assert_close(network(x), expected)


def doubled(module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
    return 2 * output


@pytest.mark.parametrize("case", ["training", "own statistics", "hook"])
def test_a_norm_that_does_more_than_scale_stays(case):
    network = nn.Sequential(nn.Conv2d(3, 3, 1), norm(3)).eval()
    if case == "training":
        network.train()
    elif case == "own statistics":
        network[1] = nn.BatchNorm2d(3, track_running_stats=False).eval()
    else:
        network[0].register_forward_hook(doubled)
    assert fold_norm(network) == 0
