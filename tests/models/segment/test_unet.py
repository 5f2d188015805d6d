"""U-Net: counts of the reference, sizes of the paper's figure, and answers of a slow plain form."""

import pytest
import torch
from torch.nn import functional

from convatlas.cost import count
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.unet import UNet


@pytest.mark.parametrize(
    ("options", "params"),
    [
        ({}, 31_030_658),
        ({"in_channels": 3}, 31_031_810),
        ({"in_channels": 3, "num_classes": 21}, 31_033_045),
        ({"padding": "same"}, 31_030_658),
    ],
)
def test_parameters_are_those_of_the_reference(options, params):
    with on_shapes():
        assert sum(p.numel() for p in create_model("unet", **options).parameters()) == params


def test_multiply_adds_are_those_of_the_figure():
    """Sides and channels as printed beside the boxes of figure 1."""
    down = [(1, 64, 572), (64, 128, 284), (128, 256, 140), (256, 512, 68), (512, 1024, 32)]
    up = [(1024, 512, 28), (512, 256, 52), (256, 128, 100), (128, 64, 196)]
    macs = 388**2 * 64 * 2
    for into, out, side in down:
        macs += 9 * out * (into * (side - 2) ** 2 + out * (side - 4) ** 2)
    for into, out, side in up:
        macs += into * out * (2 * side) ** 2
        macs += 9 * out * (into * (2 * side - 2) ** 2 + out * (2 * side - 4) ** 2)
    with on_shapes():
        model = create_model("unet")
        cost = count(model, model.example())
    assert (cost.macs, cost.uncounted) == (macs, {})


@pytest.mark.parametrize(("side", "answered"), [(572, 388), (188, 4)])
def test_sizes_are_those_of_the_paper(side, answered):
    with on_shapes(), torch.no_grad():
        model = create_model("unet").eval()
        assert model(torch.rand(1, 1, side, side)).shape == (1, 2, answered, answered)
        with pytest.raises(ValueError, match="a multiple of 16 plus 12, from 188 pixels up"):
            model(torch.rand(1, 1, side + 8, side))


def test_it_answers_as_the_figure_written_out():
    torch.manual_seed(0)
    model = UNet(width=1 / 16, depth=2, in_channels=3).eval()
    w = dict(model.named_parameters())

    def convs(x, path):
        for layer in (0, 2):
            weight, bias = w[f"{path}.{layer}.weight"], w[f"{path}.{layer}.bias"]
            x = functional.conv2d(x, weight, bias).relu()
        return x

    def enlarged(x, step):
        weight, bias = w[f"enlarge.{step}.weight"], w[f"enlarge.{step}.bias"]
        n, _, h, wide = x.shape
        blocks = torch.einsum("nchw,cdij->ndhiwj", x, weight)
        return blocks.reshape(n, -1, 2 * h, 2 * wide) + bias[:, None, None]

    def centre(x, like):
        cut = (x.shape[2] - like.shape[2]) // 2
        return x[:, :, cut : cut + like.shape[2], cut : cut + like.shape[3]]

    x = torch.rand(2, 3, 52, 44)
    with torch.no_grad():
        top = convs(x, "down.0")
        middle = convs(functional.max_pool2d(top, 2), "down.1")
        y = enlarged(convs(functional.max_pool2d(middle, 2), "down.2"), 0)
        y = enlarged(convs(torch.cat([centre(middle, y), y], 1), "up.0"), 1)
        y = convs(torch.cat([centre(top, y), y], 1), "up.1")
        weight = w["classifier.weight"][:, :, 0, 0]
        expected = torch.einsum("kc,nchw->nkhw", weight, y) + w["classifier.bias"][:, None, None]
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


def test_without_padding_an_answer_sees_its_margin_and_no_further():
    """By the gradient of one answer: 20 pixels around its block of 4, for a depth of 2."""
    torch.manual_seed(0)
    model = UNet(width=1 / 4, depth=2).eval()
    x = torch.rand(1, 1, 60, 60, requires_grad=True)
    model(x)[0, 0, 10, 10].backward()
    seen = x.grad[0, 0].nonzero()
    assert seen.min() == 8  # answers 8 to 11 stand at the pixels 28 to 31 of the image
    assert seen.max() == 51
    shifted = model(x[:, :, 4:, 4:])  # maps are halved twice: tiles move by fours
    torch.testing.assert_close(shifted, model(x)[:, :, 4:, 4:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"up": "bilinear"}, {"norm": "batch"}, {"padding": "same"}])
def test_every_form_learns_a_square(options):
    torch.manual_seed(0)
    model = UNet(width=1 / 8, depth=2, dropout=0.0, **{"padding": "same", **options})
    x = torch.rand(2, 1, 16, 16)
    mask = torch.zeros(2, 16, 16, dtype=torch.long)
    mask[0, 3:9, 5:12] = mask[1, 8:14, 1:7] = 1
    x = x + mask[:, None]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = functional.cross_entropy(model(x), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    assert (model(x).argmax(1) == mask).float().mean() > 0.97


def test_starting_weights_keep_the_variance():
    torch.manual_seed(0)
    model = create_model("unet", width=0.25)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            fan_in = 9 * module.in_channels
            assert module.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.2)
            assert module.bias.abs().max() == 0


@pytest.mark.parametrize("option", ["padding", "norm", "up"])
def test_an_unknown_form_is_refused(option):
    with pytest.raises(ValueError, match=f"UNet: {option} must be one of .*, got other"):
        create_model("unet", **{option: "other"})
