import copy

import pytest
import torch
from torch import nn

from convatlas.blocks import GeneratedConv, KernelGenerator, generate_kernels, ordinary_kernels


class Two(nn.Module):
    """Two convolutions of one generator, of other sizes, stride and groups."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(8, 12, 3, 2, 1), nn.Conv2d(12, 8, 3, 1, 2, dilation=2, groups=2, bias=False)
        )
        self.generator = KernelGenerator(embedding=6, basic=4)
        assert generate_kernels(self, self.generator) == 2

    def forward(self, x):
        return self.layers(x)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Two()


X = torch.rand(2, 8, 9, 9)


def test_weights_of_the_generator_are_stored_once_and_each_tile_has_an_embedding(model):
    generator = (4 * 6) * (6 + 1) + (4 * 9) * (6 + 1)
    tiles = 3 * 2 + 2 * 2  # 12 x 8, then 8 x 6 in two groups of channels
    assert sum(p.numel() for p in model.parameters()) == generator + 6 * tiles + 12
    assert len(model.state_dict()) == 4 + 2 + 1


def test_ordinary_kernels_answer_the_same_without_the_generator(model):
    expected = model.eval()(X)
    ordinary = copy.deepcopy(model)
    assert ordinary_kernels(ordinary) == 2
    assert [type(layer) for layer in ordinary.layers] == [nn.Conv2d, nn.Conv2d]
    assert not any("generator" in name for name in ordinary.state_dict())
    assert torch.equal(ordinary(X), expected)
    assert ordinary_kernels(ordinary) == 0
    assert torch.equal(model(X), expected)


def calls(model, monkeypatch):
    seen, own = [], KernelGenerator.forward
    monkeypatch.setattr(KernelGenerator, "forward", lambda s, z: seen.append(len(z)) or own(s, z))
    return seen


def test_kernels_are_made_once_a_step_and_kept_in_evaluation(model, monkeypatch):
    made = calls(model, monkeypatch)
    model.train()(X)
    assert made == [6, 4]
    with torch.no_grad():
        first = model.eval()(X)
        again = model(X)
    assert made == [6, 4] * 2
    assert torch.equal(first, again)


@pytest.mark.parametrize("change", ["step", "load", "half", "copy"])
def test_a_kept_kernel_follows_every_change_of_the_weights(model, change):
    with torch.no_grad():
        before = model.eval()(X)
        if change == "step":
            model.generator.project.mul_(2)
        elif change == "load":
            torch.manual_seed(1)
            model.load_state_dict(Two().state_dict())
        elif change == "half":
            model.half().float()
        else:
            model = copy.deepcopy(model)
            model.layers[0].embeddings.neg_()
        after = model(X)
        assert not torch.equal(after, before)
        ordinary = copy.deepcopy(model)
        ordinary_kernels(ordinary)
        assert torch.equal(after, ordinary(X))


def test_a_copy_refers_to_its_own_generator(model):
    other = copy.deepcopy(model)
    other.layers[0](X).sum().backward()
    assert other.generator.mix.grad is not None
    assert model.generator.mix.grad is None


@pytest.mark.parametrize("channels", [16, 64])
def test_kernels_start_with_the_variance_of_he(channels):
    torch.manual_seed(0)
    generator = KernelGenerator()
    layer = GeneratedConv(32, channels, generator)
    kernel = layer.kernel().detach()
    assert float(kernel.var()) == pytest.approx(2 / (9 * channels), rel=0.1)
    assert abs(float(kernel.mean())) < 0.05 * float(kernel.std())


def test_other_sides_and_borders_stay_as_they_are():
    mirrored = nn.Conv2d(8, 8, 3, padding_mode="reflect", padding=1)
    network = nn.Sequential(nn.Conv2d(8, 8, 1), mirrored, nn.Conv2d(3, 8, 3))
    assert generate_kernels(network, KernelGenerator(embedding=2, basic=4), least=4) == 0
