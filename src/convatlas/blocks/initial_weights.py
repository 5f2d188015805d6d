"""Starting weights that more than one paper draws in the same way."""

from torch import nn


def draw_he_normal(model: nn.Module) -> None:
    """Draw every convolution from N(0, 2 / fan_out), so that ReLU keeps the gradient's variance.

    Source: He et al., "Delving Deep into Rectifiers", 2015, arXiv:1502.01852, equation 14.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
