"""Counting whole models: layers, sharing, what is left alone, what is owned up to."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.cost import count, macs


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )


def test_every_figure_of_a_small_net_by_hand():
    cost = count(small_net(), (1, 3, 8, 8))
    conv, linear = 8 * 8 * 8 * 3 * 9, 10 * 8 * 16
    params = (8 * 3 * 9 + 8) + (8 + 8) + (10 * 128 + 10)
    buffers = 4 * (8 + 8) + 8  # running mean and variance, and the count of batches in 64 bits
    assert cost.params == params
    assert cost.macs == conv + linear
    assert cost.activation_bytes == 4 * (8 * 64 + 10)
    assert cost.weight_bytes == 4 * params + buffers
    assert cost.input == ((1, 3, 8, 8),)
    assert cost.uncounted == {}
    rows = [(r.name, r.kind, r.output, r.params, r.macs) for r in cost.layers]
    assert rows == [
        ("0", "Conv2d", (1, 8, 8, 8), 224, conv),
        ("1", "BatchNorm2d", (1, 8, 8, 8), 16, 0),
        ("5", "Linear", (1, 10), 1290, linear),
    ]


def test_layers_add_up_to_the_whole():
    from torchvision.models import googlenet

    with torch.device("meta"):
        model = googlenet(weights=None, init_weights=False)
    cost = count(model, (1, 3, 224, 224))
    assert sum(layer.macs for layer in cost.layers) == cost.macs
    assert sum(layer.params for layer in cost.layers) == cost.params
    assert sum(layer.activation_bytes for layer in cost.layers) == cost.activation_bytes
    # The auxiliary heads hold weights, but in evaluation mode they do not run.
    off = [layer for layer in cost.layers if layer.name.startswith("aux")]
    assert off
    assert all(layer.macs == 0 and layer.output is None for layer in off)


def test_batch_multiplies_macs_and_not_params():
    one, four = (count(small_net(), (n, 3, 8, 8)) for n in (1, 4))
    assert (four.macs, four.params) == (4 * one.macs, one.params)


def test_weights_that_two_layers_share_are_counted_once_and_used_twice():
    first, second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
    second.weight = first.weight
    cost = count(nn.Sequential(first, second), (1, 6))
    assert (cost.params, cost.macs) == (36, 72)
    assert sum(layer.params for layer in cost.layers) == 36
    assert cost.weight_bytes == 36 * 4


def test_module_that_is_called_twice_costs_twice():
    layer = nn.Linear(6, 6, bias=False)
    cost = count(nn.Sequential(layer, layer), (1, 6))
    assert (cost.params, cost.macs, cost.activation_bytes) == (36, 72, 2 * 6 * 4)
    assert [row.macs for row in cost.layers] == [72]


def test_product_outside_any_layer_belongs_to_the_module_that_calls_it():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(6, 6))

        def forward(self, x):
            return x @ self.scale

    cost = count(nn.Sequential(Block(), nn.Linear(6, 6)), (1, 6))
    assert [(r.name, r.kind, r.macs) for r in cost.layers] == [
        ("0", "Block", 36),
        ("1", "Linear", 36),
    ]
    whole = count(Block(), (1, 6)).layers
    assert [(r.name, r.macs) for r in whole] == [("(whole)", 36)]


def test_weights_generated_in_the_forward_pass_count_with_what_makes_them():
    class Generated(nn.Module):
        def __init__(self):
            super().__init__()
            self.make = nn.Linear(5, 4 * 3 * 9, bias=False)
            self.code = nn.Parameter(torch.rand(5))

        def forward(self, x):
            return F.conv2d(x, self.make(self.code).view(4, 3, 3, 3), padding=1)

    cost = count(Generated(), (1, 3, 8, 8))
    making, using = 5 * 4 * 3 * 9, 8 * 8 * 4 * 3 * 9
    assert cost.macs == making + using
    assert {r.name: r.macs for r in cost.layers} == {"make": making, "(whole)": using}


def test_layer_made_during_the_forward_pass_counts_for_its_maker():
    cost = count(Function(lambda x: nn.Conv2d(3, 4, 1)(x)), (1, 3, 8, 8))
    assert cost.macs == 64 * 12
    assert [row.name for row in cost.layers] == ["(whole)"]


def test_plain_tensor_on_a_real_device_is_taken_by_its_shape():
    class Filtered(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = torch.rand(4, 3, 3, 3)  # neither parameter nor buffer

        def forward(self, x):
            return F.conv2d(x, self.kernel) + torch.linspace(0, 1, 6)

    assert count(Filtered(), (1, 3, 8, 8)).macs == 36 * 4 * 27


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_model_on_either_device_counts_the_same_and_stays_there(device):
    with torch.device(device):
        model = small_net()
    assert count(model, (1, 3, 8, 8)) == count(small_net(), (1, 3, 8, 8))
    assert {p.device.type for p in model.parameters()} == {device}


def test_model_is_left_as_it_was():
    model = small_net()
    model[1].eval()  # one part frozen, as in fine-tuning
    flags = [m.training for m in model.modules()]
    before = {name: t.clone() for name, t in model.state_dict().items()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    rng = torch.get_rng_state()
    count(model, (1, 3, 8, 8))
    assert [m.training for m in model.modules()] == flags
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.ones(1).device.type == "cpu"


def test_model_that_raises_is_left_as_it_was_too():
    model = small_net()
    with pytest.raises(RuntimeError):
        count(model, (1, 4, 8, 8))
    assert all(m.training for m in model.modules())
    assert torch.ones(1).device.type == "cpu"
    assert count(model, (1, 3, 8, 8)).macs > 0


def test_nothing_is_allocated_for_a_model_larger_than_any_memory():
    with torch.device("meta"):
        model = nn.Linear(10**7, 10**7, bias=False)
    assert count(model, (1, 10**7)).macs == 10**14


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (torch.fft.rfft2, "_fft_r2c"),
        (torch.fft.irfft, "_fft_c2r"),
        (lambda x: torch.fft.fft(torch.complex(x, x)), "_fft_c2c"),
        (torch.linalg.inv, "linalg_inv_ex"),
        (lambda x: torch.cdist(x[0], x[0]), "_cdist_forward"),
    ],
)
def test_operator_that_the_rule_does_not_know_is_owned_up_to(function, named):
    cost = count(Function(function), (2, 3, 8, 8))
    assert cost.macs == 0
    assert cost.uncounted[named] == 1


def test_spectrogram_names_its_fourier_step_and_counts_the_rest():
    def mel(x):
        spectrum = torch.stft(x, 64, window=torch.ones(64), return_complex=True).abs()
        return torch.ones(10, 33) @ spectrum

    cost = count(Function(mel), (1, 640))
    frames = 640 // 16 + 1
    assert cost.uncounted == {"_fft_r2c": 1}
    assert cost.macs == 10 * 33 * frames


def test_custom_operator_is_listed_under_its_full_name_as_often_as_it_ran():
    @torch.library.custom_op("convatlas_test::mystery", mutates_args=())
    def mystery(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @mystery.register_fake
    def _(x):
        return torch.empty_like(x)

    cost = count(Function(lambda x: mystery(mystery(x))), (2, 3))
    assert cost.uncounted == {"convatlas_test::mystery": 2}


def test_several_inputs_of_any_nesting():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.rand(1, 5, 8)
    assert count(attention, (x, x, x)).input == ((1, 5, 8),) * 3
    pair = Function(lambda both: both[0] @ both[1])
    assert count(pair, ([torch.rand(2, 3), torch.rand(3, 4)],)).macs == 24


@pytest.mark.parametrize("shape", [(), (0, 3, 8, 8), (1, -3, 8, 8)])
def test_senseless_shape_is_refused(shape):
    with pytest.raises(ValueError, match="positive whole numbers"):
        count(small_net(), shape)


def test_answer_becomes_json():
    cost = count(small_net(), (1, 3, 8, 8)).to_dict()
    back = json.loads(json.dumps(cost))
    assert back["layers"][0]["name"] == "0"
    assert back["uncounted"] == []


def test_macs_of_a_function_takes_keyword_tensors():
    assert macs(F.linear, torch.empty(2, 3), weight=torch.empty(4, 3)) == 24
