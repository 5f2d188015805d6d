"""The context module: a chain of convolutions whose dilation doubles, from scores to scores.

Each layer keeps the resolution; after seven a score has seen 67 x 67 others, with filters of 3 x 3
alone. It begins as the identity, so that it can be put behind a network that is already trained and
changes its answers only where that helps.

Source:  Yu, Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016,
         arXiv:1511.07122, table 1, equations 4 and 5.
Differs: with equation 5 as printed, the large form multiplies its input by about 1 / 1000, because
         a layer weighs its copies by C / (c_i + c_(i+1)), which do not add up to 1; `exact` takes
         C / c_i, which do. The basic form is the same with both.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option

# Dilation of each layer of 3 x 3; the name of the form counts the last layer, of 1 x 1, as well.
DILATIONS = {
    7: (1, 1, 2, 4, 8, 1),
    8: (1, 1, 2, 4, 8, 16, 1),
    10: (1, 1, 2, 4, 8, 16, 32, 64, 1),
}
FORMS = ("basic", "large")
PADDINGS = ("once", "each")
STARTS = ("identity", "exact", "random")
NOISE = 0.01  # deviation of the weights that the identity leaves at zero, in a layer of C channels


class ContextModule(nn.Sequential):
    """Chain of dilated convolutions on maps of class scores.

    Args:
        num_classes: channels of the scores, C in the paper.
        layers: 7, 8 (table 1) or 10: the dilation rises to 8, 16 or 64.
        form: `basic`, C channels throughout, or `large`, up to 32 C.
        padding: zeros before the first layer, for all (`once`), or before each (`each`).
        start: weights to begin with: `identity` as the paper gives it, `exact` copies in the large
            form as well, or `random` ones (He).
        noise: deviation of the weights that an identity leaves at zero.

    Shape: (n, num_classes, h, w) -> (n, num_classes, h, w)
    """

    def __init__(
        self,
        num_classes: int,
        *,
        layers: int = 8,
        form: str = "basic",
        padding: str = "each",
        start: str = "identity",
        noise: float = NOISE,
    ):
        check_option("ContextModule", "layers", layers, DILATIONS)
        check_option("ContextModule", "form", form, FORMS)
        check_option("ContextModule", "padding", padding, PADDINGS)
        check_option("ContextModule", "start", start, STARTS)
        dilations = DILATIONS[layers]
        around = list(dilations) if padding == "each" else [sum(dilations)] + [0] * len(dilations)
        channels = [num_classes * m for m in multipliers(layers, form)]
        parts: list[nn.Module] = []
        for into, out, dilation, pad in zip(
            [num_classes, *channels], channels, dilations, around, strict=False
        ):
            parts += [nn.Conv2d(into, out, 3, padding=pad, dilation=dilation), nn.ReLU()]
        parts.append(nn.Conv2d(channels[-1], num_classes, 1))
        super().__init__(*parts)
        self.receptive_field = 1 + 2 * sum(dilations)  # of a score, in scores
        for layer in self:
            if not isinstance(layer, nn.Conv2d):
                continue
            if start == "random":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]  it has one
            else:
                draw_identity(layer, num_classes, exact=start == "exact", noise=noise)


def multipliers(layers: int, form: str) -> tuple[int, ...]:
    """List the channels of each 3 x 3 layer, as multiples of the number of classes (table 1)."""
    if form == "basic":
        return (1,) * len(DILATIONS[layers])
    *first, _ = DILATIONS[layers]
    rising = [2 * dilation for dilation in first]
    return (*rising, rising[-1])


def draw_identity(layer: nn.Conv2d, num_classes: int, *, exact: bool, noise: float) -> None:
    """Let a layer hand on the scores of each class, in as many copies as it has channels for.

    Channels a that come in and b that go out belong to the same class where floor(a C / c_i) =
    floor(b C / c_(i+1)); between these the weight at the centre is C / (c_i + c_(i+1)), 1 where the
    layer has C channels on both sides (equation 4), and elsewhere it is drawn from N(0, noise)
    (equation 5). The noise falls with the copies, as in the authors' code.

    Args:
        exact: weigh by C / c_i, so that a copy has the size of what it copies.
    """
    out, into = layer.weight.shape[:2]
    weight = 1.0
    if max(into, out) > num_classes:
        weight = num_classes / (into if exact else into + out)
    class_in = torch.arange(into) * num_classes // into
    class_out = torch.arange(out) * num_classes // out
    same = (class_out[:, None] == class_in).to(layer.weight)
    nn.init.normal_(layer.weight, std=noise * num_classes / out)
    with torch.no_grad():
        centre: Tensor = layer.weight[:, :, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2]
        centre.mul_(1 - same).add_(weight * same)
        nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]  it has one
