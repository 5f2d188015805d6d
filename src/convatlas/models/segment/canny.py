"""Canny's edges as tensor operations, so that a network that reads them can be exported whole.

Source:  Canny, "A Computational Approach to Edge Detection", IEEE TPAMI 1986; the details are those
         of OpenCV's `Canny` without smoothing: Sobel filters of 3 x 3, the norm |dx| + |dy|, four
         directions told apart at 22.5 degrees.
Differs: weak edges are followed from strong ones by a fixed number of pixels, where OpenCV follows
         them to their end; with as many steps as the longest such path the result is the same.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

TAN_22 = 0.41421356237309503  # tangent of 22.5 degrees
EPSILON = 1e-6


def canny_edges(
    image: Tensor, *, low: float = 10.0, high: float = 100.0, steps: int = 32
) -> Tensor:
    """Mark the pixels on edges: local maxima of the slope that are steep or connected to steep.

    Args:
        image: of values from 0 to 255, as of 8 bits.
        low: slope that a pixel on an edge must exceed.
        high: slope that starts an edge.
        steps: pixels by which an edge goes on at most from where it is steep; each is a pooling.

    Shape: (n, 1, h, w) -> (n, 1, h, w), ones on edges and zeros elsewhere
    """
    dx, dy = _sobel(image)
    ax, ay = dx.abs(), dy.abs()
    slope = ax + ay
    # Slopes beyond the border count as flat.
    around = F.pad(slope, (1, 1, 1, 1))

    def beside(row: int, column: int) -> Tensor:
        h, w = slope.shape[2], slope.shape[3]
        return around[:, :, 1 + row : 1 + row + h, 1 + column : 1 + column + w]

    # Of two pixels of the same slope the one further left or up is kept; on a diagonal neither is.
    across = (slope > beside(0, -1)) & (slope >= beside(0, 1))
    along = (slope > beside(-1, 0)) & (slope >= beside(1, 0))
    falling = (slope > beside(-1, -1)) & (slope > beside(1, 1))
    rising = (slope > beside(-1, 1)) & (slope > beside(1, -1))
    # Chosen by "and" and "or": ONNX runtime has no choice between truth values.
    turned = torch.logical_xor(dx < 0, dy < 0)
    flat, steep = ay < TAN_22 * ax, ay > (2 + TAN_22) * ax
    diagonal = (turned & rising) | (~turned & falling)
    highest = (flat & across) | (steep & along) | (~flat & ~steep & diagonal)
    weak = (highest & (slope > low)).to(image.dtype)
    edges = weak * (slope > high)
    for _ in range(steps):
        edges = F.max_pool2d(edges, 3, stride=1, padding=1) * weak
    return edges


def grey_levels(images: Tensor) -> Tensor:
    """Average the channels and stretch each image to whole numbers from 0 to 255.

    So edges are the same whatever mean and scale the images were brought to before.

    Shape: (n, c, h, w) -> (n, 1, h, w)
    """
    grey = images.mean(1, keepdim=True)
    lowest = grey.amin((2, 3), keepdim=True)
    spread = (grey.amax((2, 3), keepdim=True) - lowest).clamp(min=EPSILON)
    return (255 * ((grey - lowest) / spread)).round()


def _sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slope along a row and along a column; the border is repeated outward."""
    x = F.pad(image, (1, 1, 1, 1), mode="replicate")
    smooth_down = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
    smooth_right = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    dx = smooth_down[..., 2:] - smooth_down[..., :-2]
    dy = smooth_right[:, :, 2:] - smooth_right[:, :, :-2]
    return dx, dy
