"""CapsNet: groups of neurons whose vector says what is there, and its length, how surely.

Every small capsule predicts each class's vector; where predictions agree, routing sends more of
them on. In training a decoder also draws the image again from the vector of its class.

Source:  Sabour, Frosst, Hinton, NIPS 2017, arXiv:1710.09829, sections 3 to 7.
Claims:  claims/capsnet.toml
Differs: in evaluation the outputs are logarithms of the lengths, so that their softmax is each
         length's share. Images whose values leave 0..1 are mapped into it, together, before they
         are compared with what the decoder drew. Convolutions start as torch starts them.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import check_exact_image
from convatlas.errors import UsageError
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

KERNEL = 9  # of both convolutions
CHANNELS = 256
DECODER = (512, 1024)
UPPER, LOWER, ABSENT_WEIGHT = 0.9, 0.1, 0.5  # equation 4: m+, m-, lambda
RECONSTRUCTION_WEIGHT = 0.0005  # section 4.1, of the sum of squared differences
# A squared length counts as this much at least, which keeps gradients finite at zero. It is a bound
# and no summand, because an exporter would drop the addition of so small a number.
MIN_SQUARE = 1e-20


class CapsuleOutputs(NamedTuple):
    """What the network gives in training: all that its loss needs."""

    logits: Tensor
    capsules: Tensor
    images: Tensor


class ClassCapsules(nn.Module):
    """Votes of the primary capsules for each class's vector, and the routing between them.

    Shape: (n, capsules, primary_dim) -> (n, num_classes, class_dim)

    Cost: capsules * num_classes * class_dim * (primary_dim + 2 * iterations - 1) multiply-adds.
    """

    def __init__(
        self,
        capsules: int,
        primary_dim: int,
        num_classes: int,
        class_dim: int,
        *,
        iterations: int,
        none_of_above: bool,
    ):
        super().__init__()
        self.class_dim, self.iterations = class_dim, iterations
        self.none_of_above = none_of_above
        # One matrix for each primary capsule and class; those of a capsule lie side by side.
        self.votes = nn.Parameter(torch.empty(capsules, primary_dim, num_classes * class_dim))
        nn.init.trunc_normal_(self.votes, std=0.1, a=-0.2, b=0.2)

    def forward(self, primary: Tensor) -> Tensor:
        votes = torch.bmm(primary.transpose(0, 1), self.votes)
        votes = votes.unflatten(2, (-1, self.class_dim)).permute(1, 2, 0, 3)
        return route(votes, self.iterations, none_of_above=self.none_of_above)


class CapsNet(nn.Module):
    """Image classifier for one image size: two convolutions, then routing between capsules.

    Args:
        size: height and width of the image; the votes have weights of their own at each place.
        channels: of the first convolution.
        primary: kinds of primary capsules.
        primary_dim: values in a primary capsule.
        class_dim: values in the capsule of a class.
        iterations: of routing; 1 sends every vote to all classes alike.
        none_of_above: let routing send votes to no class at all.
        decoder: draw the image again in training, and add its error to the loss.
        width: multiplies the channels, the kinds of primary capsules and the decoder's units.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, size, size) -> (n, num_classes) logits, in training `CapsuleOutputs`,
        whose first field they are.

    Raises:
        UsageError: a size too small for the convolutions, or a count below 1.
    """

    def __init__(
        self,
        *,
        size: int = 28,
        channels: int = CHANNELS,
        primary: int = 32,
        primary_dim: int = 8,
        class_dim: int = 16,
        iterations: int = 3,
        none_of_above: bool = False,
        decoder: bool = True,
        width: float = 1.0,
        in_channels: int = 1,
        num_classes: int = 10,
    ):
        super().__init__()
        if size < 2 * KERNEL - 1 or min(channels, primary, primary_dim, class_dim, iterations) < 1:
            raise UsageError(
                f"CapsNet: size must be from {2 * KERNEL - 1} up, and channels, primary, "
                "primary_dim, class_dim and iterations from 1 up, got "
                f"{size}, {channels}, {primary}, {primary_dim}, {class_dim}, {iterations}"
            )
        self.in_channels, self.exact_size = in_channels, (size, size)
        self.primary_dim = primary_dim
        channels, primary = _scaled(channels, width), _scaled(primary, width)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, KERNEL), nn.ReLU())
        self.primary = nn.Conv2d(channels, primary * primary_dim, KERNEL, stride=2)
        side = (size - 2 * KERNEL + 1) // 2 + 1
        self.classes = ClassCapsules(
            primary * side * side,
            primary_dim,
            num_classes,
            class_dim,
            iterations=iterations,
            none_of_above=none_of_above,
        )
        units = [num_classes * class_dim, *(_scaled(hidden, width) for hidden in DECODER)]
        self.decoder = _decoder(units, in_channels * size * size) if decoder else None

    def forward(self, x: Tensor) -> Tensor | CapsuleOutputs:
        capsules = self.capsules(x)
        logits = lengths(capsules).log().to(capsules.dtype)
        return CapsuleOutputs(logits, capsules, x) if self.training else logits

    def capsules(self, x: Tensor) -> Tensor:
        """Return the vector of each class.

        Shape: (n, in_channels, size, size) -> (n, num_classes, class_dim)
        """
        check_exact_image(x, "CapsNet", channels=self.in_channels, size=self.exact_size)
        maps = self.primary(self.stem(x)).unflatten(1, (-1, self.primary_dim)).flatten(3)
        return self.classes(squash(maps.transpose(2, 3).flatten(1, 2)))

    def reconstruct(self, capsules: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw the image of one class from its vector alone, the others set to zero.

        Args:
            labels: the class of each image; the one with the longest vector if not given.

        Shape: (n, num_classes, class_dim), labels (n,) -> (n, in_channels, size, size) in 0..1

        Raises:
            UsageError: the network was built without a decoder.
        """
        if self.decoder is None:
            raise UsageError("CapsNet: reconstruct must have a decoder, build with decoder=True")
        labels = lengths(capsules).argmax(1) if labels is None else labels
        chosen = F.one_hot(labels, capsules.shape[1]).to(capsules.dtype)
        drawn = self.decoder((capsules * chosen[..., None]).flatten(1))
        return drawn.unflatten(1, (self.in_channels, *self.exact_size))

    def loss(
        self,
        outputs: CapsuleOutputs,
        target: Tensor | tuple[Tensor, Tensor],
        criterion: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return the margin loss plus what the decoder drew wrong; ignore the recipe's criterion.

        Args:
            target: labels (n,); or, where k things overlap in an image, labels (n, k) and each
                one's own image (n, k, in_channels, size, size).
        """
        del criterion
        if isinstance(target, Tensor) and target.is_floating_point():
            raise UsageError(
                "CapsNet: labels must be classes; mixup and cutmix give shares of them"
            )
        pair = isinstance(target, tuple)
        labels, images = target if pair else (target[:, None], outputs.images[:, None])
        total = margin_loss(lengths(outputs.capsules), labels)
        if self.decoder is None:
            return total
        images = _unit_range(images)
        for k in range(labels.shape[1]):
            wrong = self.reconstruct(outputs.capsules, labels[:, k]) - images[:, k]
            total = total + RECONSTRUCTION_WEIGHT * _widened(wrong).square().sum() / len(images)
        return total

    example = image_example("exact_size")
    tiny = tiny_build(size=20, width=0.0625)


@torch.fx.wrap
def _widened(x: Tensor) -> Tensor:
    """Turn half precision into float32: it cannot hold squares of short or of long vectors."""
    half = x.dtype == torch.float16 or x.dtype == torch.bfloat16
    return x.float() if half else x


def squash(x: Tensor) -> Tensor:
    """Keep the direction of each vector, and map its length s to s ** 2 / (1 + s ** 2).

    Shape: (..., d) -> (..., d)

    Source: equation 1.
    """
    squared = _widened(x).square().sum(-1, keepdim=True)
    return (x * (squared / (1 + squared) / squared.clamp(min=MIN_SQUARE).sqrt())).to(x.dtype)


def lengths(capsules: Tensor) -> Tensor:
    """Measure each vector: above 0, in float32 at least. Shape: (..., d) -> (...)."""
    return _widened(capsules).square().sum(-1).clamp(min=MIN_SQUARE).sqrt()


def route(votes: Tensor, iterations: int, *, none_of_above: bool = False) -> Tensor:
    """Route by agreement: votes that point the way of a class's vector count more for it.

    Args:
        none_of_above: share each capsule's votes with one more class that nothing reads.

    Shape: (n, classes, capsules, d) -> (n, classes, d)

    Cost: classes * capsules * d multiply-adds for each vector's mean, `iterations` times, and as
        many for each agreement, once less.

    Source: procedure 1.
    """
    agreement = torch.zeros_like(votes[..., 0])
    vectors = _vectors(votes, agreement, none_of_above)
    for _ in range(iterations - 1):
        agreement = agreement + (votes @ vectors[..., None])[..., 0]
        vectors = _vectors(votes, agreement, none_of_above)
    return vectors


def _vectors(votes: Tensor, agreement: Tensor, none_of_above: bool) -> Tensor:
    """Sum the votes for each class by the shares that the capsules give it."""
    if none_of_above:
        agreement = torch.cat([agreement, torch.zeros_like(agreement[:, :1])], dim=1)
    shares = agreement.softmax(1)[:, : votes.shape[1]]
    return squash((shares[:, :, None] @ votes)[:, :, 0])


def margin_loss(lengths: Tensor, labels: Tensor) -> Tensor:
    """Ask for long vectors of the classes that are there, short ones of the others; mean.

    Shape: lengths (n, classes), labels (n, k) of the k classes in an image -> ()

    Source: equation 4, summed over classes.
    """
    present = torch.zeros_like(lengths).scatter(1, labels, 1.0)
    short = (UPPER - lengths).clamp(min=0).square()
    long = (lengths - LOWER).clamp(min=0).square()
    return (present * short + ABSENT_WEIGHT * (1 - present) * long).sum(1).mean()


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * width))


def _decoder(units: list[int], pixels: int) -> nn.Sequential:
    first, second, third = units
    return nn.Sequential(
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Linear(second, third),
        nn.ReLU(),
        nn.Linear(third, pixels),
        nn.Sigmoid(),
    )


def _unit_range(images: Tensor) -> Tensor:
    """Keep images that lie in 0..1; move and scale others together so that they do."""
    low, high = images.amin().clamp(max=0), images.amax().clamp(min=1)
    return (images - low) / (high - low)


register("capsnet", CapsNet, "classify")
register("capsnet_multimnist", CapsNet, "classify", size=36)
register("capsnet_affnist", CapsNet, "classify", size=40)
register(
    "capsnet_cifar", CapsNet, "classify", size=24, primary=64, none_of_above=True, in_channels=3
)
register("capsnet_smallnorb", CapsNet, "classify", size=32, in_channels=2, num_classes=5)
register(
    "capsnet_svhn",
    CapsNet,
    "classify",
    size=32,
    channels=64,
    primary=16,
    primary_dim=6,
    class_dim=8,
    in_channels=3,
)
