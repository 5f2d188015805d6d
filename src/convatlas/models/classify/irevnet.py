"""i-RevNet: a classifier from whose last layer the image can be computed back.

Nothing is thrown away: resolution is lowered by moving pixels into channels, and every block adds
to one half of the channels what it computes from the other. The backward pass restores activations
from the output, so memory for training does not grow with depth.

Source:  Jacobsen, Smeulders, Oyallon, ICLR 2018, arXiv:1802.07088, section 3 and table 1; blocks
         from the authors' repository.
Claims:  claims/irevnet.toml
Differs: the first and last convolution of a block are 1 x 1, which gives the paper's parameters;
         the released code has 3 x 3 there (`outer_kernel=3`). The last norm averages its statistics
         like the others; the released code keeps only the last batch's, probably by a slip. The
         blocks of the injective network are inferred from its parameters. Starting weights, which
         the paper does not state, are He's normal ones.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import (
    Coupling,
    ReversibleSequence,
    check_image,
    check_option,
    draw_he_normal,
)
from convatlas.errors import UsageError
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import downsample, upsample
from convatlas.ops.tracing import is_traced

REPEATS = (6, 16, 72, 6)  # table 1 (b): blocks in each of the four stages
NARROW = 4  # a block's inner channels, of those it puts out


def _residue(
    in_channels: int,
    inner: int,
    out_channels: int,
    *,
    stride: int,
    kernel: int,
    dropout: float,
    first: bool,
) -> nn.Sequential:
    """Build the three convolutions of a block, each behind norm and ReLU but the image's own."""
    pad = kernel // 2
    start = [] if first else [nn.BatchNorm2d(in_channels), nn.ReLU()]
    return nn.Sequential(
        *start,
        nn.Conv2d(in_channels, inner, kernel, stride, pad, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, inner, 3, padding=1, bias=False),
        nn.Dropout(dropout),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, out_channels, kernel, padding=pad, bias=False),
    )


class IRevNet(nn.Module):
    """Image classifier that can be run backwards.

    Args:
        repeats: blocks of each stage; a stage begins by moving 2 x 2 pixels into channels.
        first_stride: 1 leaves the resolution alone in the first stage.
        image_block: side of the squares of pixels that are moved into channels before all blocks.
        pad_to: channels in the first stage; those that the image lacks are zero, which makes the
            network injective: one-to-one, but no longer onto. 0 adds none: bijective.
        outer_kernel: window of a block's first and last convolution: 1 as the paper counts, 3 as
            released.
        width: multiplies the channels inside the blocks; those between blocks follow from the
            image, for none can be left out.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the values inside a block zeroed in training.
        recompute: False stores activations as other networks do: a third faster, more memory.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w multiples of `min_size`, 32
        as published, 4 in the form for CIFAR.

    Raises:
        UsageError: the channels cannot be cut in halves.
    """

    def __init__(
        self,
        *,
        repeats: tuple[int, ...] = REPEATS,
        first_stride: int = 2,
        image_block: int = 2,
        pad_to: int = 0,
        outer_kernel: int = 1,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
        recompute: bool = True,
    ):
        super().__init__()
        check_option("IRevNet", "first_stride", first_stride, (2, 1))
        check_option("IRevNet", "outer_kernel", outer_kernel, (1, 3))
        self.in_channels, self.image_block = in_channels, image_block
        self.image_size = 32 if image_block == 1 else 224
        self.min_size = image_block * first_stride * 2 ** (len(repeats) - 1)
        moved = image_block**2 * in_channels
        zeros = max(0, pad_to - moved * first_stride**2)
        # As the released code: a first stage that keeps the resolution gets its zeros before the
        # cut in halves, so that its first block adds what it makes of nothing but zeros.
        self.pad = zeros if first_stride == 1 else 0
        channels = (moved + self.pad) // 2
        if (moved + self.pad) % 2 or zeros % 2 != self.pad % 2:
            raise UsageError(
                f"IRevNet: channels must be even to be cut in halves, got {moved} of the image and "
                f"{zeros} of zeros; choose another pad_to"
            )
        stages: list[nn.Module] = []
        for index, blocks in enumerate(repeats):
            couplings = []
            for number in range(blocks):
                halve = number == 0 and (index > 0 or first_stride == 2)
                pad = zeros // 2 if halve and index == 0 else 0
                into, channels = channels, channels * 4 + pad if halve else channels
                added = _residue(
                    into,
                    max(1, round(channels // NARROW * width)),
                    channels,
                    stride=2 if halve else 1,
                    kernel=outer_kernel,
                    dropout=dropout,
                    first=index == number == 0,
                )
                couplings.append(Coupling(added, block=2 if halve else 1, pad=pad))
            # Channels of zeros are constant until both halves have been added to. There norm and
            # ReLU would tell restored values from the true ones by the sign of their rounding.
            kept = 2 if index == 0 and self.pad else 0
            first = [ReversibleSequence(*couplings[:kept], recompute=False)] if kept else []
            rest = ReversibleSequence(*couplings[kept:], recompute=recompute)
            stages.append(nn.Sequential(*first, rest))
        self.body = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.BatchNorm2d(2 * channels), nn.ReLU())
        self.classifier = nn.Linear(2 * channels, num_classes)
        draw_he_normal(self)

    def features(self, x: Tensor) -> Tensor:
        """Return what the last block puts out, of which `inverse` makes the image again.

        Shape: (n, in_channels, h, w) -> (n, channels, h / min_size, w / min_size)
        """
        check_image(x, "IRevNet", channels=self.in_channels, min_size=self.min_size)
        least = self.min_size
        if not is_traced(x) and (x.shape[2] % least or x.shape[3] % least):
            raise UsageError(
                f"IRevNet: input must be (n, {self.in_channels}, h, w) with h and w multiples of "
                f"{least}, got {tuple(x.shape)}; pad or resize the images first"
            )
        moved = downsample(x, self.image_block)
        return self.body(F.pad(moved, (0, 0, 0, 0, 0, self.pad)))

    def inverse(self, features: Tensor) -> Tensor:
        """Return the images that `features` makes these maps of, up to rounding.

        Any maps of the right shape give some image; where the network is injective only, running
        that image forward again gives them back only if they came from an image.

        Shape: (n, channels, h / min_size, w / min_size) -> (n, in_channels, h, w)

        Raises:
            UsageError: the network is in training mode, where batch norm depends on the batch.
        """
        if self.training:
            raise UsageError("IRevNet: inverse needs evaluation mode; call model.eval() first")
        for sequence in reversed([m for m in self.modules() if isinstance(m, ReversibleSequence)]):
            features = sequence.inverse(features)
        return upsample(features[:, : features.shape[1] - self.pad], self.image_block)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.head(self.features(x)).mean((2, 3)))

    example = image_example("image_size")
    tiny = tiny_build(16, repeats=(2, 2))


register("irevnet_bijective", IRevNet, "classify")
register("irevnet_bijective_k3", IRevNet, "classify", outer_kernel=3)
register("irevnet_injective", IRevNet, "classify", repeats=(4, 4, 6, 4), pad_to=192)
register(
    "irevnet_injective_cifar",
    IRevNet,
    "classify",
    repeats=(18, 18, 18),
    first_stride=1,
    image_block=1,
    pad_to=32,
    outer_kernel=3,
    num_classes=10,
    dropout=0.1,
)
