"""What masks are trained with: cross-entropy of pixels, and the overlap of whole regions (Dice).

Source: Milletari, Navab, Ahmadi, "V-Net", 3DV 2016, arXiv:1606.04797, equation 3 (Dice, here of
    each class); Ronneberger et al., 2015, arXiv:1505.04597, equation 1 (weights of pixels).
"""

from torch import Tensor
from torch.nn import functional

from convatlas.models.segment.segmenter import IGNORED

SMOOTH = 1.0  # pixels added to both sides of the quotient: a class that is nowhere costs nothing


def pixel_cross_entropy(
    logits: Tensor,
    masks: Tensor,
    *,
    class_weights: Tensor | None = None,
    pixel_weights: Tensor | None = None,
) -> Tensor:
    """Return the weighted mean of the cross-entropy of all pixels that have a class.

    Where no pixel has one the loss is 0.

    Args:
        class_weights: how much a pixel of each class counts. Shape: (k,)
        pixel_weights: how much each pixel counts. Shape: as `masks`

    Shape: logits (n, k, ...), masks int64 (n, ...) -> ()
    """
    weights = (masks != IGNORED).to(logits.dtype)
    losses = functional.cross_entropy(logits, masks, ignore_index=IGNORED, reduction="none")
    if class_weights is not None:
        weights = weights * class_weights.to(logits)[masks.clamp(max=logits.shape[1] - 1)]
    if pixel_weights is not None:
        weights = weights * pixel_weights.to(logits)
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)


def dice_loss(logits: Tensor, masks: Tensor, *, smooth: float = SMOOTH) -> Tensor:
    """Return 1 less the mean over the classes of the soft Dice overlap in the batch.

    Pixels without a class count for no class.

    Args:
        smooth: added to both sides of the quotient; with next to nothing, a class that the masks
            do not hold counts as missed.

    Shape: logits (n, k, ...), masks int64 (n, ...) -> ()
    """
    classes = logits.shape[1]
    known = (masks != IGNORED)[:, None]
    truth = functional.one_hot(masks.clamp(max=classes - 1), classes).movedim(-1, 1) * known
    found = logits.softmax(1) * known
    rest = tuple(axis for axis in range(logits.ndim) if axis != 1)
    both = (found * truth).sum(rest)
    sizes = (found + truth).sum(rest)
    return 1 - ((2 * both + smooth) / (sizes + smooth)).mean()


def enlarge_logits(logits: Tensor, masks: Tensor) -> Tensor:
    """Resize logits to the resolution of the masks, where a network answers more coarsely.

    Shape: logits (n, k, h / output_stride, w / output_stride), masks (n, h, w) -> (n, k, h, w)
    """
    if logits.shape[2:] == masks.shape[1:]:
        return logits
    mode = "trilinear" if logits.ndim == 5 else "bilinear"
    return functional.interpolate(logits, masks.shape[1:], mode=mode, align_corners=False)
