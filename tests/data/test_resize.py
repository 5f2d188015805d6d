"""The crop and the cubic filter, held against torchvision's transforms and Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data import Preprocess, Resize, resize
from convatlas.data.images.resize import resize_image

SIDES = [(256, 256), (300, 200), (201, 333), (64, 64), (97, 41)]


def noise(h, w, c=3):
    generator = torch.Generator().manual_seed(h * w)
    return torch.randint(0, 256, (c, h, w), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sides", SIDES)
def test_a_crop_is_torchvisions_resize_and_centre_crop(sides, filter):
    from torchvision.transforms import v2

    x = noise(*sides)
    mode = v2.InterpolationMode(filter)
    peer = v2.Compose([v2.Resize(64, mode, antialias=True), v2.CenterCrop(56)])
    expected = peer(x.float()).clamp(0, 255)
    how = Resize(0.875, filter)
    torch.testing.assert_close(resize(x.float(), 56, how), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(resize_image(x, 56, how), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("sides", SIDES)
def test_the_cubic_filter_is_pillows_within_its_rounding(sides):
    x = noise(*sides, 1) // 3 + 85  # mild, for Pillow also cuts off overshoot between both passes
    pillow = Image.fromarray(x[0].numpy()).resize((50, 50), Image.Resampling.BICUBIC)
    ours = resize(x.float(), 50, Resize(filter="bicubic"))[0]
    assert (ours - torch.from_numpy(np.array(pillow)).float()).abs().max() < 1.3


def test_the_whole_module_crops_and_says_so_in_its_settings():
    module = Preprocess(3, 56, [0.5] * 3, [0.25] * 3, crop=0.875, filter="bicubic")
    x = noise(80, 70)
    expected = (resize_image(x, 56, Resize(0.875, "bicubic")) / 255 - 0.5) / 0.25
    out = module(x.permute(1, 2, 0)[None])[0]
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)
    again = Preprocess(**module.settings())
    assert torch.equal(again(x.permute(1, 2, 0)[None])[0], out)


def test_a_crop_or_filter_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"crop must be above 0 and at most 1, got 1\.5"):
        Resize(1.5)
    with pytest.raises(ValueError, match="filter must be one of bilinear, bicubic, got 'cubic'"):
        Resize(filter="cubic")
