import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.explain.pictures import data_uri


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_come_back_exactly(channels):
    image = torch.arange(channels * 20 * 30).reshape(channels, 20, 30).to(torch.uint8)
    uri = data_uri(image)
    assert uri.startswith("data:image/png;base64,")
    pixels = np.asarray(opened(uri)).reshape(20, 30, channels)
    np.testing.assert_array_equal(pixels, image.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_are_reduced_and_keep_their_shape_and_colour(channels):
    image = torch.zeros(channels, 400, 800, dtype=torch.uint8)
    image[0] = 200
    uri = data_uri(image, side=100)
    assert uri.startswith("data:image/jpeg;base64,")
    picture = opened(uri)
    assert picture.size == (100, 50)
    middle = np.atleast_1d(np.asarray(picture)[25, 50]).astype(int)
    assert abs(middle - np.array([200, 0, 0][:channels])).max() < 6
    assert len(uri) < 8000
