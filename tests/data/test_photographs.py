"""What counts as a photograph: shaded, many colours, large enough."""

import pytest
import torch

from convatlas.data import make_images, open_images
from convatlas.data.images.photographs import are_photographs, is_shaded


def test_digits_are_none():
    assert not are_photographs(open_images("digits"))


@pytest.mark.parametrize(("size", "expected"), [(32, False), (80, True)])
def test_small_images_are_none(tmp_path, size, expected):
    folder = make_images(tmp_path / "made", classes=2, per_class=12, size=size)
    assert are_photographs(open_images(folder)) is expected


def test_drawings_have_few_colours_and_scans_much_of_one_grey():
    drawing = torch.zeros(3, 128, 128, dtype=torch.uint8)
    drawing[:, 30:90, 30:90] = 200
    assert not is_shaded(drawing)
    shades = (torch.arange(128)[:, None] + torch.arange(128)).to(torch.uint8)[None]
    assert is_shaded(shades)
    scan = torch.full((1, 128, 128), 255, dtype=torch.uint8)
    scan[:, :, 50:60] = shades[:, :, 50:60]
    assert not is_shaded(scan)
