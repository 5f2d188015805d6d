"""The residual unit whose norm and ReLU stand before each convolution, not after it.

Source: He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv:1603.05027,
    figure 4(e) and section 4.1; Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016,
    arXiv:1605.07146, section 2.4, for the dropout.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from convatlas.blocks.generated_conv import GeneratedConv


def norm_relu(channels: int) -> nn.Sequential:
    """Build batch norm and ReLU.

    Shape: (n, channels, h, w) -> (n, channels, h, w)
    """
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


class PreActUnit(nn.Module):
    """Norm, ReLU, convolution, as often as there are convolutions; then the sum, left as it is.

    A shortcut that changes the shape reads what the first norm and ReLU put out; one that does not
    is the input itself, so that nothing but sums stands between the first unit and the last.

    Args:
        convs: the convolutions of the residue, in order.
        shortcut: `nn.Identity` where the shape stays, else what changes it.
        activated: the input comes from a norm and ReLU already, which the unit then leaves out.
        dropout: share zeroed between the convolutions in training.
        gate: scales the residue before the sum, as squeeze and excitation does.

    Shape: (n, c, h, w) -> what the convolutions and the shortcut make of it
    """

    only_calls_and_adds = True  # see `convatlas.kernels`: batch norms may be fused across it

    def __init__(
        self,
        convs: Sequence[nn.Conv2d | GeneratedConv],
        *,
        shortcut: nn.Module,
        activated: bool = False,
        dropout: float = 0.0,
        gate: nn.Module | None = None,
    ):
        super().__init__()
        first, *others = convs
        self.start = nn.Identity() if activated else norm_relu(first.in_channels)
        layers: list[nn.Module] = [first]
        for conv in others:
            layers.append(nn.Sequential(*norm_relu(conv.in_channels), nn.Dropout(dropout), conv))
        self.residue = nn.Sequential(*layers, *([] if gate is None else [gate]))
        self.shortcut = shortcut
        self.shortcut_is_activated = not isinstance(shortcut, nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        y = self.start(x)
        return self.residue(y) + self.shortcut(y if self.shortcut_is_activated else x)


def conv_without_bias(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1
) -> nn.Conv2d:
    """Build a bare convolution that keeps the size, as pre-activation needs it.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """
    padding = kernel // 2
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
