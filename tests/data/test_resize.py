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


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sides", [*SIDES, (1, 300), (301, 2), (64, 63), (40, 64)])
def test_a_letterbox_is_torchs_resize_of_the_longer_side_between_borders(sides, filter):
    x, pad = noise(*sides), (10, 128, 250)
    longer = max(sides)
    height, width = (max(1, int(56 * side / longer + 0.5)) for side in sides)
    expected = torch.tensor(pad).float()[:, None, None].repeat(1, 56, 56)
    top, left = (56 - height + 1) // 2, (56 - width + 1) // 2
    inner = x[None].float()
    for pair in ((height, sides[1]), (height, width)):  # torch errs in one pass to a width of 1
        inner = torch.nn.functional.interpolate(inner, pair, mode=filter, antialias=True)
    inner = inner[0]
    expected[:, top : top + height, left : left + width] = inner.clamp(0, 255)
    how = Resize(filter=filter, pad=pad)
    torch.testing.assert_close(resize(x.float(), 56, how), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(resize_image(x, 56, how), expected, atol=2e-3, rtol=0)


def test_a_large_image_has_the_borders_of_its_channels(monkeypatch):
    x, how = noise(20, 50), Resize(pad=(1, 2, 3))
    expected = resize_image(x, 24, how)
    monkeypatch.setattr("convatlas.data.images.resize.MAX_NUMBERS", 100)  # a plane at a time
    assert torch.equal(resize_image(x, 24, how), expected)


def test_borders_have_the_mean_which_the_network_sees_as_nothing():
    module = Preprocess(3, 20, [0.2, 0.4, 0.6], [0.25] * 3, crop=0.875).letterboxed()
    assert module.settings()["pad"] == [51, 102, 153]
    assert module.settings()["crop"] is None
    out = module(noise(10, 40).permute(1, 2, 0)[None])[0]
    assert out[:, [0, 6, 13, 19]].abs().max() < 1e-5
    assert out[:, 8].abs().max() > 0.1
    again = Preprocess(**module.settings())
    x = noise(33, 12).permute(1, 2, 0)[None]
    assert torch.equal(again(x), module(x))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pad": (0, 256)}, "pad must be values from 0 to 255"),
        ({"pad": (0,), "crop": 0.5}, "must either crop or pad, not both"),
    ],
)
def test_borders_that_cannot_be_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        Resize(**options)
    with pytest.raises(ValueError, match="pad must have 1 values"):
        Preprocess(1, 8, [0.5], [0.5], pad=(1, 2))
