"""TseNet: the counts of its formula, where the speaker enters, and that the speaker matters."""

import pytest
import torch

from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes

SMALL = {"encoder_filters": 12, "channels": 6, "hidden": 10, "filter_length": 8, "blocks": 2}
SMALL |= {"repeats": 2, "speaker_features": 5, "speaker_channels": 4}


@pytest.mark.parametrize(("inject", "stacks_told"), [("every", 4), ("first", 1)])
def test_parameters_follow_the_formula(inject, stacks_told):
    u, length, n, o, p, d, b, r = 256, 20, 256, 512, 3, 256, 8, 4
    block = (n * o + o) + (o * p + o) + (o * n + n) + 4 * o + 2
    whole = 2 * u * length + 2 * u + (u * n + n) + (400 * d + d) + r * b * block
    whole += stacks_told * d * o + (n * u + u)
    with on_shapes():
        model = create_model("tsenet", inject=inject)
    assert sum(p.numel() for p in model.parameters()) == whole


def test_without_the_speaker_it_is_conv_tasnet_with_one_voice():
    """The first version's form; its mask has a ReLU and the norm of the input is per step."""
    torch.manual_seed(0)
    model = create_model("tsenet", **SMALL).eval()
    plain = create_model(
        "conv_tasnet", encoder_filters=12, bottleneck=6, hidden=10, filter_length=8, blocks=2,
        repeats=2, skip_channels=0, speakers=1, mask="relu", encoder_relu=True,
    ).eval()  # fmt: skip
    plain.norm = model.norm
    plain.basis.load_state_dict(model.basis.state_dict())
    plain.bottleneck.load_state_dict(model.bottleneck.state_dict())
    plain.masks.load_state_dict(model.mask[0].state_dict())
    state = {}
    for r, stack in enumerate(model.stacks):
        for name, tensor in stack.state_dict().items():
            part, number, rest = name.split(".", 2)
            state[f"{part}.{2 * r + int(number)}.{rest}"] = (
                tensor[:, :6] if "widen.w" in name else tensor
            )
    plain.blocks.load_state_dict(state)
    for layer in model.speaker[:1]:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    x, speaker = model.example(batch=2, samples=101)
    with torch.no_grad():
        torch.testing.assert_close(model(x, speaker), plain(x)[:, 0])


@pytest.mark.parametrize("inject", ["every", "first"])
def test_another_speaker_gives_another_voice(inject):
    torch.manual_seed(0)
    model = create_model("tsenet", inject=inject, **SMALL).eval()
    x, speaker = model.example(batch=2, samples=101)
    with torch.no_grad():
        voices = model(x, speaker)
        assert voices.shape == x.shape
        assert (model(x, speaker.flip(0)) - voices).abs().amax(1).min() > 1e-6
    assert [stack.beside for stack in model.stacks] == [4, 4 if inject == "every" else 0]


def test_a_vector_of_another_length_is_refused():
    model = create_model("tsenet", **SMALL)
    with pytest.raises(ValueError, match=r"the speaker must be a vector \(n, 5\), got \(1, 4\)"):
        model(torch.zeros(1, 100), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="inject must be one of every, first, got last"):
        create_model("tsenet", inject="last")
