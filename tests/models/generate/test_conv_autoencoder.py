"""The convolutional autoencoder: sizes, options, and even coverage of its transposed layers."""

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.generate.conv_autoencoder import ConvAutoencoder


def reached(layer: nn.ConvTranspose2d, size: int = 8) -> torch.Tensor:
    """How many weights of one map reach each pixel, without the border."""
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    ones = torch.ones(1, 1, size, size)
    counted = nn.functional.conv_transpose2d(
        ones, torch.ones(1, 1, *kernel), stride=stride, padding=padding
    )
    return counted[0, 0, 8:-8, 8:-8]


@pytest.mark.parametrize("kernel", [2, 4, 6])
def test_every_pixel_is_reached_by_as_many_weights(kernel):
    model = ConvAutoencoder(kernel=kernel)
    layers = [m for m in model.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert len(layers) == 3
    for layer in layers:
        assert (reached(layer, 16) == (kernel / 2) ** 2).all()
    uneven = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    assert reached(uneven, 16).unique().tolist() == [1, 2, 4]  # the checkerboard


@pytest.mark.parametrize("up", ["transposed", "resize"])
@pytest.mark.parametrize("size", [(8, 8), (9, 14), (16, 31), 28])
def test_an_image_comes_back_at_its_size(up, size):
    model = ConvAutoencoder(in_channels=2, image_size=size, latent=5, maps=4, up=up).eval()
    (x,) = model.example(2)
    with torch.no_grad():
        latent, y = model(x)
        assert torch.equal(model.decode(latent), y)
    assert x.shape[2:] == ((size, size) if isinstance(size, int) else size)
    assert (latent.shape, y.shape) == ((2, 5), x.shape)


def test_the_answer_depends_on_the_latent_numbers_alone():
    model = create_model("conv_autoencoder_mnist", maps=4).eval()
    (x,) = model.example(2)
    with torch.no_grad():
        nn.init.zeros_(model.to_latent.weight)
        _, y = model(x)
    torch.testing.assert_close(y[0], y[1])
    assert not torch.equal(x[0], x[1])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kernel": 3}, "kernel must be divisible by the stride of 2, got 3"),
        ({"latent": 0}, "latent must be a whole number from 1 up, got 0"),
        ({"up": "bilinear"}, "up must be one of transposed, resize"),
        ({"image_size": (8, 8, 8)}, "image_size must be a side in pixels, or height and width"),
        ({"image_size": 4, "stages": 4}, "stages must suit images of 4 x 4 pixels, got 4"),
    ],
)
def test_options_that_no_network_has_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        ConvAutoencoder(**options)


def test_another_size_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"ConvAutoencoder: input must be exactly \(n, 3, 32, 32\)"
    ):
        ConvAutoencoder()(torch.rand(1, 3, 32, 31))
