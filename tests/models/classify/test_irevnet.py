import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.blocks import ReversibleSequence
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.irevnet import IRevNet


def test_same_answers_as_pytorchcv(assert_same_answers):
    pytorchcv = pytest.importorskip("pytorchcv.models.irevnet")
    repeats, channels = (2, 1, 2, 2), (24, 96, 384, 1536)
    peer = pytorchcv.IRevNet(
        channels=[[c] * n for c, n in zip(channels, repeats, strict=True)],
        init_block_channels=12,
        final_block_channels=3072,
        num_classes=7,
    )
    peer.features.final_pool = nn.AdaptiveAvgPool2d(1)  # the peer is bound to 224 pixels
    ours = create_model("irevnet_bijective_k3", repeats=repeats, num_classes=7)
    pairs = [("features.final_postactiv.bn", "head.0"), ("output", "classifier")]
    for stage, units in enumerate(repeats):
        for unit in range(units):
            theirs = f"features.stage{stage + 1}.unit{unit + 1}.bottleneck"
            mine = f"body.{stage}.0.{unit}.residue"
            shift = 2 if stage == unit == 0 else 0  # no norm and ReLU in front
            pairs.append(
                (f"{theirs}.conv1" if shift else f"{theirs}.conv1.conv", f"{mine}.{2 - shift}")
            )
            pairs += [] if shift else [(f"{theirs}.conv1.bn", f"{mine}.0")]
            for conv, at in ((2, 3), (3, 7)):
                pairs.append((f"{theirs}.conv{conv}.bn", f"{mine}.{at - shift}"))
                pairs.append(
                    (f"{theirs}.conv{conv}.conv", f"{mine}.{9 - shift if conv == 3 else 5 - shift}")
                )
    assert_same_answers(ours, peer, pairs)


def randomised(model, dtype=torch.float64):
    """Norms whose statistics are not those of the start."""
    for name, buffer in model.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 1.5)
    return model.to(dtype).eval()


FORMS = {
    "bijective": {"repeats": (3, 4, 5)},
    "k3": {"repeats": (2, 2), "outer_kernel": 3},
    "injective": {"repeats": (2, 2), "pad_to": 192},
    "injective_cifar": {"repeats": (3, 3), "first_stride": 1, "image_block": 1, "pad_to": 32},
}
every_form = pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)


@every_form
def test_image_is_computed_back_from_the_last_layer(options):
    torch.manual_seed(0)
    model = randomised(IRevNet(**options))
    x = torch.randn(2, 3, 32, 16, dtype=torch.float64)
    features = model.features(x)
    assert features.shape[2:] == (32 // model.min_size, 16 // model.min_size)
    torch.testing.assert_close(model.inverse(features), x, rtol=0, atol=1e-10)


def test_three_hundred_layers_are_undone_in_float32():
    torch.manual_seed(0)
    model = randomised(create_model("irevnet_bijective", num_classes=10), torch.float32)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert (model.inverse(model.features(x)) - x).abs().max() < 1e-2


def test_bijective_network_keeps_every_number_and_makes_an_image_of_any_features():
    torch.manual_seed(0)
    model = randomised(IRevNet(repeats=(2, 2)))
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    features = model.features(x)
    assert features.numel() == x.numel()
    other = torch.randn_like(features)
    torch.testing.assert_close(model.features(model.inverse(other)), other)


def test_injective_network_has_more_numbers_than_the_image():
    with torch.device("meta"):
        model = create_model("irevnet_injective").eval()
        x = torch.rand(1, 3, 224, 224)
        assert model.features(x).shape == (1, 12288, 7, 7)
    assert 4 * x.numel() == 12288 * 49


def test_one_block_equals_a_plain_second_computation():
    torch.manual_seed(0)
    model = randomised(IRevNet(repeats=(1, 1)))
    block, state = model.body[1][0][0], model.body[1][0].state_dict()
    a, b = torch.randn(2, 2, 24, 4, 4, dtype=torch.float64)

    def norm_relu(at, x):
        mean, var, weight, bias = (
            state[f"0.residue.{at}.{k}"].view(1, -1, 1, 1)
            for k in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).relu()

    def squares_to_channels(x):
        places = [x[:, :, r::2, c::2] for r in range(2) for c in range(2)]
        return torch.cat(places, 1)

    y = F.conv2d(norm_relu(0, b), state["0.residue.2.weight"], stride=2)
    y = F.conv2d(norm_relu(3, y), state["0.residue.5.weight"], padding=1)
    y = F.conv2d(norm_relu(7, y), state["0.residue.9.weight"])
    got = block(a, b)
    assert torch.equal(got[0], squares_to_channels(b))
    torch.testing.assert_close(got[1], squares_to_channels(a) + y)


def one_step(model, x):
    model = copy.deepcopy(model).train()
    torch.manual_seed(1)
    F.cross_entropy(model(x), torch.arange(len(x))).backward()
    return [p.grad for p in model.parameters()], list(model.buffers())


@every_form
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_recomputing_changes_neither_gradients_nor_statistics(options, dtype, tolerance):
    torch.manual_seed(0)
    stored = IRevNet(**options, dropout=0.1, recompute=False).to(dtype)
    recomputed = IRevNet(**options, dropout=0.1).to(dtype)
    recomputed.load_state_dict(stored.state_dict())
    x = torch.rand(4, 3, 32, 32, dtype=dtype)
    grads, buffers = one_step(recomputed, x)
    expected_grads, expected_buffers = one_step(stored, x)
    for grad, expected in zip(grads, expected_grads, strict=True):
        assert (grad - expected).norm() <= tolerance * expected.norm()
    for buffer, expected in zip(buffers, expected_buffers, strict=True):
        assert torch.equal(buffer, expected)


def test_width_changes_the_inside_of_blocks_and_nothing_between_them():
    narrow, wide = IRevNet(repeats=(2, 2), width=0.5), IRevNet(repeats=(2, 2), width=2)
    x = torch.rand(2, 3, 16, 16)
    assert narrow.features(x).shape == wide.features(x).shape
    assert narrow.body[1][0][0].residue[2].out_channels == 12
    assert wide.body[1][0][0].residue[2].out_channels == 48


def test_dropout_stands_in_every_block_of_the_cifar_form_only():
    for name, rate in (("irevnet_injective_cifar", 0.1), ("irevnet_bijective", 0.0)):
        with torch.device("meta"):
            model = create_model(name)
        assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {rate}


def test_stages_recompute_unless_told_otherwise():
    for recompute in (True, False):
        model = IRevNet(repeats=(1, 1), recompute=recompute)
        sequences = [m for m in model.modules() if isinstance(m, ReversibleSequence)]
        assert [s.recompute for s in sequences] == [recompute] * 2


def test_what_cannot_be_taken_is_refused():
    model = IRevNet(repeats=(2, 2))
    with pytest.raises(UsageError, match=r"multiples of 8, got \(1, 3, 12, 16\)"):
        model(torch.rand(1, 3, 12, 16))
    with pytest.raises(UsageError, match=r"inverse needs evaluation mode; call model.eval\(\)"):
        model.inverse(torch.rand(1, 192, 1, 1))
    with pytest.raises(UsageError, match="even to be cut in halves, got 3 of the image and 0 of"):
        IRevNet(image_block=1)
    with pytest.raises(UsageError, match="first_stride must be one of 2, 1, got 4"):
        IRevNet(first_stride=4)
