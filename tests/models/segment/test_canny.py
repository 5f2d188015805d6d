"""Canny's edges against the same rules written pixel by pixel, and against OpenCV."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from convatlas.models.segment.canny import canny_edges, grey_levels

TANGENT = np.tan(np.pi / 8)


def images():
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (24, 31))
    smooth = ndimage.gaussian_filter(random.uniform(0, 3000, (40, 33)), 3) % 256
    square = np.zeros((20, 20))
    square[5:14, 6:15] = 90
    return [noise, smooth.round() % 256, square]


def pixel_by_pixel(image, low, high):
    """Whole edges, however far they go on from where they are steep."""
    wide = np.pad(image.astype(float), 1, mode="edge")
    h, w = image.shape
    dx, dy, slope = np.zeros((h, w)), np.zeros((h, w)), np.zeros((h + 2, w + 2))
    for r in range(h):
        for c in range(w):
            around = wide[r : r + 3, c : c + 3]
            dx[r, c] = (around[:, 2] - around[:, 0]) @ [1, 2, 1]
            dy[r, c] = (around[2] - around[0]) @ [1, 2, 1]
            slope[r + 1, c + 1] = abs(dx[r, c]) + abs(dy[r, c])
    weak = np.zeros((h, w), bool)
    for r in range(h):
        for c in range(w):
            here, ax, ay = slope[r + 1, c + 1], abs(dx[r, c]), abs(dy[r, c])
            if ay < TANGENT * ax:
                before, behind = slope[r + 1, c], slope[r + 1, c + 2] - 1e-9
            elif ay > (2 + TANGENT) * ax:
                before, behind = slope[r, c + 1], slope[r + 2, c + 1] - 1e-9
            else:
                side = -1 if (dx[r, c] < 0) != (dy[r, c] < 0) else 1
                before, behind = slope[r, c + 1 - side], slope[r + 2, c + 1 + side]
            weak[r, c] = here > low and here > before and here > behind
    parts, _ = ndimage.label(weak, np.ones((3, 3)))
    strong = np.unique(parts[weak & (slope[1:-1, 1:-1] > high)])
    return np.isin(parts, strong[strong > 0])


@pytest.mark.parametrize("image", images(), ids=["noise", "smooth", "square"])
def test_edges_are_those_of_the_rules(image):
    x = torch.from_numpy(image)[None, None].float()
    got = canny_edges(x, steps=200)[0, 0].numpy()
    expected = pixel_by_pixel(image, 10, 100)
    assert 0 < expected.mean() < 0.7
    assert (got == expected).all()
    few = canny_edges(x, steps=1)[0, 0].numpy()
    assert (few <= got).all()


@pytest.mark.parametrize("image", images(), ids=["noise", "smooth", "square"])
def test_edges_are_those_of_opencv(image):
    cv2 = pytest.importorskip("cv2")
    x = torch.from_numpy(image)[None, None].float()
    expected = cv2.Canny(image.astype(np.uint8), 10, 100) > 0
    assert (canny_edges(x, steps=200)[0, 0].numpy() == expected).all()


def test_brightness_and_contrast_do_not_change_the_grey_levels():
    torch.manual_seed(0)
    images = torch.rand(3, 2, 8, 9)
    levels = grey_levels(images)
    assert torch.equal(levels, levels.round())
    assert (levels.amin((1, 2, 3)) == 0).all()
    assert (levels.amax((1, 2, 3)) == 255).all()
    assert (grey_levels(3 * images - 7) - levels).abs().max() <= 1  # rounding
    assert torch.equal(grey_levels(torch.full((1, 1, 4, 4), 0.3)), torch.zeros(1, 1, 4, 4))
