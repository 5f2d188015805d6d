"""Sizes against a formula written out, weights as they start, and how often a pixel is reached."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from convatlas import cost
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.generate.dcgan import DCGAN, DCGANDiscriminator
from convatlas.models.on_shapes import on_shapes

FORMS = {  # side of the images: sides and channels of the maps, the smallest ones first
    64: ((4, 1024), (8, 512), (16, 256), (32, 128)),
    32: ((4, 512), (8, 256), (16, 128)),
    28: ((7, 256), (14, 128)),
}


def params_by_hand(size, kernel, latent, colours):
    """Of generator and discriminator: filters, and two numbers for each normalised channel."""
    channels = [c for _, c in FORMS[size]] + [colours]
    filters = kernel**2 * sum(a * b for a, b in pairwise(channels))
    ends = FORMS[size][0][0] ** 2 * channels[0]  # of the projection, and of the judge
    norms = 2 * sum(channels[:-1])
    return latent * ends + filters + norms, ends + filters + norms - 2 * channels[-2]


def macs_by_hand(size, kernel, latent, colours):
    """Each value of a small map meets each filter once, in both directions."""
    maps = [*FORMS[size], (size, colours)]
    products = (s * s * c * d for (s, c), (_, d) in pairwise(maps))
    filters, ends = kernel**2 * sum(products), FORMS[size][0][0] ** 2 * maps[0][1]
    return latent * ends + filters, ends + filters


@pytest.mark.parametrize("size", FORMS)
@pytest.mark.parametrize(("kernel", "latent", "colours"), [(4, 100, 3), (5, 62, 1)])
def test_params_and_macs_are_those_of_the_formula(size, kernel, latent, colours):
    shared = {"size": size, "kernel": kernel, "in_channels": colours}
    with on_shapes():
        pair = DCGAN(latent=latent, **shared), DCGANDiscriminator(**shared)
    inputs = (1, latent), (1, colours, size, size)
    counted = [cost.count(net, given) for net, given in zip(pair, inputs, strict=True)]
    asked = size, kernel, latent, colours
    assert tuple(c.params for c in counted) == params_by_hand(*asked)
    assert tuple(c.macs for c in counted) == macs_by_hand(*asked)


def test_half_as_wide_has_the_size_of_pytorchs_example():
    """Its `ngf` and `ndf` of 64 are our 128 at half the width."""
    with on_shapes():
        pair = DCGAN(width=0.5), DCGANDiscriminator(width=0.5)
    assert [sum(p.numel() for p in net.parameters()) for net in pair] == [3_576_704, 2_765_568]


def reached(kernel):
    """How many products each pixel of the image sums up, away from the borders."""
    layer = DCGAN(size=28, kernel=kernel, width=1 / 128, in_channels=1).paint[0]
    nn.init.ones_(layer.weight)
    return layer(torch.ones(1, 1, 14, 14))[0, 0, 4:-4, 4:-4]


def test_each_pixel_is_reached_by_as_many_weights_only_if_the_stride_divides_the_kernel():
    assert reached(4).unique().tolist() == [4]
    assert reached(5).unique().tolist() == [4, 6, 9]  # 2 or 3 rows times 2 or 3 columns


@pytest.mark.parametrize("cls", [DCGAN, DCGANDiscriminator])
def test_weights_start_from_the_papers_distribution(cls):
    torch.manual_seed(0)
    model = cls(size=28)
    filters = torch.cat([p.detach().flatten() for p in model.parameters() if p.dim() > 1])
    assert abs(filters.mean()) < 2e-4
    assert filters.std() == pytest.approx(0.02, rel=0.01)


def test_norms_and_activations_stand_where_the_paper_has_them():
    generator, judge = DCGAN(size=32), DCGANDiscriminator(size=32)
    kinds = [
        [type(m) for m in net.modules() if not list(m.children())] for net in (generator, judge)
    ]
    assert kinds[0][-2:] == [nn.ConvTranspose2d, nn.Tanh]
    assert kinds[0].count(nn.ReLU) == kinds[0].count(nn.BatchNorm2d) == 3
    assert kinds[1][:3] == [nn.Conv2d, nn.LeakyReLU, nn.Conv2d]
    assert kinds[1].count(nn.BatchNorm2d) == kinds[1].count(nn.LeakyReLU) - 1 == 2
    assert {m.negative_slope for m in judge.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert not any("Pool" in kind.__name__ for kind in kinds[0] + kinds[1])


def test_the_discriminator_gives_one_logit_an_image_and_refuses_another_size():
    judge = DCGANDiscriminator(size=28, width=1 / 64, in_channels=1)
    assert judge(torch.zeros(3, 1, 28, 28)).shape == (3,)
    with pytest.raises(ValueError, match="DCGANDiscriminator: input must be"):
        judge(torch.zeros(3, 1, 32, 32))


def test_drawing_is_repeatable_and_leaves_the_network_as_it_was():
    model, _ = DCGAN.tiny()
    model.train()
    images = model.draw(5, seed=3, batch_size=2)
    assert images.shape == (5, 3, 28, 28)
    assert images.dtype == torch.uint8
    assert torch.equal(images, model.draw(5, seed=3))
    assert not torch.equal(images, model.draw(5, seed=4))
    assert model.training
    z = 2 * torch.rand(5, 8, generator=torch.Generator().manual_seed(3)) - 1
    expected = (model.eval()(z).detach() + 1) / 2 * 255
    torch.testing.assert_close(images.float(), expected, atol=0.51, rtol=0)


@pytest.mark.parametrize("options", [{"size": 30}, {"kernel": 3}, {"latent": 0}])
def test_what_no_network_has_is_refused_by_name(options):
    (name,) = options
    with pytest.raises(UsageError, match=f"DCGAN: {name} must be"):
        create_model("dcgan", **options)


def test_numbers_of_another_length_are_refused():
    model, _ = DCGAN.tiny()
    with pytest.raises(ValueError, match=r"DCGAN: input must be \(n, 8\), got \(2, 9\)"):
        model(torch.zeros(2, 9))
