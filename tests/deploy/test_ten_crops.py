"""Ten crops: the mean that the definition gives, worked out window by window with Pillow."""

import pytest
import torch
from PIL import Image
from torch import nn

from convatlas.data import Preprocess
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.ten_crops import TenCrops


def classifier(**options):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    preprocess = Preprocess(3, 8, [0.4, 0.5, 0.6], [0.2, 0.3, 0.2], **options)
    return ImageClassifier(preprocess, network).eval()


def windows(height, width, *, square):
    """Left, top, right and bottom of each crop."""
    h, w = round(height * 0.875), round(width * 0.875)
    if square:
        h = w = min(h, w)
    middle = ((width - w) // 2, (height - h) // 2)
    corners = [(0, 0), (width - w, 0), (0, height - h), (width - w, height - h), middle]
    return [(x, y, x + w, y + h) for x, y in corners]


@pytest.mark.parametrize("crop", [None, 0.9])
def test_they_are_the_mean_over_corners_middle_and_mirror_images(crop):
    image = torch.randint(0, 256, (40, 32, 3), dtype=torch.uint8)
    asked, whole = classifier(crop=crop), classifier()
    drawn = Image.fromarray(image.numpy())
    answers = []
    for box in windows(40, 32, square=crop is not None):
        part = drawn.crop(box)
        for each in (part, part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
            pixels = torch.frombuffer(bytearray(each.tobytes()), dtype=torch.uint8)
            answers.append(whole(pixels.reshape(1, each.height, each.width, 3)))
    expected = torch.stack(answers).mean(0)
    with torch.no_grad():
        got = TenCrops(asked)(image[None])
    torch.testing.assert_close(got, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(got, TenCrops(asked)(image.flip(1)[None]).detach())
    assert not torch.allclose(got, asked(image[None]), atol=1e-3)
    assert asked.preprocess.resize.crop == crop


def test_an_image_of_one_pixel_has_them_too():
    answers = TenCrops(classifier())(torch.zeros(2, 1, 1, 3, dtype=torch.uint8))
    torch.testing.assert_close(answers.sum(1), torch.ones(2))
