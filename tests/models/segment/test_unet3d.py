"""3-D U-Net: the printed count and sizes, and answers of a slow plain form."""

import pytest
import torch
import torch.nn.functional as F

from convatlas.cost import count
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.unet3d import UNet3D


def test_parameters_are_those_printed():
    with on_shapes():
        model, other = create_model("unet3d"), create_model("unet3d", norm_scale=True)
    printed = sum(p.numel() for p in model.parameters())
    assert printed == 19_069_955
    norms = 2 * (32 + 64 + 128 + 256) + 512 - 32 + 2 * (64 + 128 + 256) + 64 - 64
    assert sum(p.numel() for p in other.parameters()) == printed + norms


def test_multiply_adds_are_those_of_the_figure():
    """Voxels and channels as printed beside the boxes of figure 2; a volume is width² x depth."""

    def volume(side, depth):
        return side**2 * depth

    levels = [(3, 32, 64, 132, 116), (64, 64, 128, 64, 56), (128, 128, 256, 30, 26)]
    levels += [(256, 256, 512, 13, 11)]
    macs = 0
    for into, hidden, out, side, depth in levels:
        macs += 27 * into * hidden * volume(side - 2, depth - 2)
        macs += 27 * hidden * out * volume(side - 4, depth - 4)
    for below, beside, side, depth in [(512, 256, 18, 14), (256, 128, 28, 20), (128, 64, 48, 32)]:
        macs += below * below * volume(side, depth)  # each value meets 2 x 2 x 2 weights
        macs += 27 * (below + beside) * beside * volume(side - 2, depth - 2)
        macs += 27 * beside * beside * volume(side - 4, depth - 4)
    macs += 64 * 3 * volume(44, 28)
    with on_shapes():
        model = create_model("unet3d")
        cost = count(model, model.example())
    assert cost.input == ((1, 3, 116, 132, 132),)
    assert (cost.macs, cost.uncounted) == (macs, {})


def test_sizes_are_those_of_the_paper():
    with on_shapes(), torch.no_grad():
        model = create_model("unet3d").eval()
        assert model(*model.example()).shape == (1, 3, 28, 44, 44)
        assert model(torch.rand(1, 3, 92, 92, 100)).shape == (1, 3, 4, 4, 12)
        for depth in (88, 96):  # nothing would be left; not divisible
            with pytest.raises(ValueError, match="a multiple of 8 plus 4, from 92 pixels up"):
                model(torch.rand(1, 3, depth, 92, 92))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_it_answers_as_the_figure_written_out(padding):
    torch.manual_seed(0)
    model = UNet3D(width=1 / 8, depth=1, padding=padding, in_channels=2).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias)
    w = model.state_dict()
    around = 0 if padding == "valid" else 1

    def convs(x, path):
        for layer in (0, 3):
            norm = f"{path}.{layer + 1}"
            x = F.conv3d(x, w[f"{path}.{layer}.weight"], padding=around)
            mean, var = w[f"{norm}.running_mean"], w[f"{norm}.running_var"]
            x = F.batch_norm(x, mean, var, bias=w[f"{norm}.bias"]).relu()
        return x

    image = torch.rand(1, 2, 18, 20, 24)
    fine = convs(image, "down.0")
    coarse = convs(F.max_pool3d(fine, 2), "down.1")
    up = F.conv_transpose3d(coarse, w["enlarge.0.weight"], stride=2)
    crop = (fine.shape[2] - up.shape[2]) // 2
    assert crop == (4 if padding == "valid" else 0)
    sizes = [slice(crop, s - crop) for s in fine.shape[2:]]
    x = convs(torch.cat([fine[(slice(None), slice(None), *sizes)], up], dim=1), "up.0")
    expected = F.conv3d(x, w["classifier.weight"], w["classifier.bias"])
    with torch.no_grad():
        torch.testing.assert_close(model(image), expected)


def test_tiles_answer_as_the_whole_volume_does():
    torch.manual_seed(0)
    model = UNet3D(width=1 / 16, depth=1, in_channels=1).eval()
    volume = torch.rand(1, 1, 24, 20, 20)
    with torch.no_grad():
        whole = model(volume)
        first, second = model(volume[:, :, :20]), model(volume[:, :, 4:])
    assert whole.shape[2] == 24 - 2 * model.margin
    torch.testing.assert_close(torch.cat([first, second[:, :, -4:]], dim=2), whole)


def test_other_classes_get_a_fresh_last_layer():
    model, inputs = UNet3D.tiny()
    model.reset_classifier(7)
    assert model(*inputs).shape[1] == 7
    model.reset_classifier(0)
    assert model(*inputs).shape[1] == model.classifier.features
