"""Windows of images and masks: cut, reduced, changed together, weighed."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from convatlas.data.masks.augment import ElasticGrid, mask_augmentation
from convatlas.data.masks.border_weights import border_weights
from convatlas.data.masks.crops import CropSize, RandomCrops
from convatlas.data.masks.kept_masks import reduced
from convatlas.data.masks.mask_files import IGNORED


def test_reduced_images_are_averages_and_masks_the_pixels_in_the_middle():
    image = torch.randint(0, 256, (1, 7, 9), dtype=torch.uint8)
    mask = torch.arange(63, dtype=torch.uint8).reshape(7, 9)
    small, classes = reduced(image, mask, 3)
    assert small.shape == (1, 3, 3)
    mean = functional.avg_pool2d(image[:, :6].float(), 3).round()
    assert torch.equal(small[:, :2].float(), mean)
    assert torch.equal(classes[:2], mask[1:6:3, 1::3])


@pytest.mark.parametrize("level", ["none", "photo", "cells"])
def test_image_and_mask_are_changed_together(level):
    """A mask drawn into the image stays where the image shows it."""

    class Same:
        def __len__(self):
            return 1

        def read(self, index):
            mask = torch.zeros(60, 60, dtype=torch.uint8)
            mask[15:40, 20:33] = 1
            return 200 * mask[None] + 20, mask

    torch.manual_seed(0)
    augment = None if level == "none" else mask_augmentation(level)
    crops = RandomCrops(Same(), CropSize([48, 48], [4, 4]), augment)
    changed, right = set(), []
    for _ in range(30):
        image, mask = crops[0]
        changed.add(int((mask == 1).sum()))
        shown = image[0, 4:-4, 4:-4].float()
        known = mask != IGNORED
        middle = (shown.min() + shown.max()) / 2
        right.append(float(((shown > middle) == (mask == 1))[known].float().mean()))
    assert min(right) > 0.93
    assert len(changed) > 5
    with pytest.raises(ValueError, match="level must be one of"):
        mask_augmentation("wild")


def test_deformations_are_as_large_as_the_vectors_of_the_grid():
    torch.manual_seed(0)
    from torchvision import tv_tensors

    ramp = torch.arange(64.0).repeat(64, 1)
    moved = []
    for _ in range(40):
        image, _ = ElasticGrid(deviation=3.0, share=1.0)(
            tv_tensors.Image(ramp[None]), tv_tensors.Mask(ramp.to(torch.uint8))
        )
        moved.append(image[0, 32, 32] - 32)  # the grid's middle vector, in pixels of x
    assert 2.2 < torch.stack(moved).std() < 3.8


def test_border_weights_are_the_formula_pixel_by_pixel():
    mask = torch.zeros(14, 16, dtype=torch.long)
    mask[2:8, 1:6], mask[3:9, 8:13], mask[11:13, 4:9] = 1, 1, 1
    regions = [(mask * 0).bool() for _ in range(3)]
    regions[0][2:8, 1:6], regions[1][3:9, 8:13], regions[2][11:13, 4:9] = True, True, True
    weights = border_weights(mask, strength=10, sigma=3)
    for y in range(14):
        for x in range(16):
            far = sorted(
                min(((y - a) ** 2 + (x - b) ** 2) ** 0.5 for a, b in r.nonzero().tolist())
                for r in regions
            )
            gap = 10 * np.exp(-((far[0] + far[1]) ** 2) / 18) if far[0] else 0.0
            assert weights[y, x].item() == pytest.approx(1 + gap, rel=1e-5)
    assert (border_weights((mask > 5).long()) == 1).all()
