import pytest

from convatlas.cost.report import RULE

KEYS = ["model", "input", "params", "macs", "activation_bytes", "peak_bytes", "uncounted", "layers"]


def test_real_command_gives_the_published_figures(program):
    answer = program("count", "resnet50", "--json")
    assert (answer.code, answer.err) == (0, "")
    cost = answer.json
    assert set(KEYS) <= set(cost)
    assert (cost["model"], cost["input"], cost["params"]) == ("resnet50", [3, 224, 224], 25_557_032)
    assert cost["uncounted"] == []
    assert sum(layer["macs"] for layer in cost["layers"]) == cost["macs"]


def test_text_gives_exact_figures_and_the_rule(convatlas):
    out = convatlas("count", "mobilenet_v2").out
    assert "3.50 M  " in out
    assert "3,504,872" in out
    assert "300,774,272" in out
    assert RULE in out


def test_layers_are_listed_on_request(convatlas):
    short, long = convatlas("count", "lenet5").out, convatlas("count", "lenet5", "--layers").out
    assert "features.6" not in short
    row = next(line for line in long.splitlines() if line.startswith("features.6 "))
    assert row.split() == ["features.6", "Conv2d", "120x1x1", "48,120", "48,000", "480"]


def test_options_and_input_change_the_network(convatlas):
    cost = convatlas(
        "count", "mobilenet_v2", "width=0.5", "num_classes=10", "--input", "3x96x96", "--json"
    ).json
    assert cost["input"] == [3, 96, 96]
    assert cost["options"] == {"in_channels": 3, "width": 0.5, "num_classes": 10}
    assert cost["params"] < 1_000_000
    assert cost["layers"][-1]["output"] == [1, 10]


def test_input_decides_the_channels_unless_they_are_given(convatlas):
    cost = convatlas("count", "mobilenet_v2", "--input", "1x64x64", "--json").json
    assert cost["options"]["in_channels"] == 1
    answer = convatlas("count", "mobilenet_v2", "in_channels=3", "--input", "1x64x64")
    assert answer.code == 2
    assert "mobilenet_v2 cannot take 1x64x64 with in_channels=3" in answer.err


def test_input_decides_the_size_of_a_network_that_is_built_for_one(convatlas):
    cost = convatlas("count", "linear_classifier", "--input", "1x30x20", "--json").json
    assert cost["macs"] == 30 * 20 * 10


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["lenet5", "--input", "1x28x28"], "lenet5 cannot take 1x28x28 with in_channels=1: LeNet5"),
        (["resnet18", "--input", "3x224"], "resnet18 cannot take 3x224"),
        (["resnet18", "--input", "1x3x224x224"], "resnet18 cannot take 1x3x224x224"),
        (
            ["resnet18", "--input", "3xx224"],
            "'--input': an input size must be positive whole numbers",
        ),
        (["resnet18", "widht=2"], "no option 'widht'; nearest: width"),
        (["resnet18", "width=wide"], "'width' must be a number"),
        (["mobilenet_v2", "stem_stride=3"], "stem_stride must be one of 2, 1"),
        (["resnet"], "no model 'resnet'; nearest: resnet"),
    ],
)
def test_what_cannot_be_counted_is_bad_usage(convatlas, args, message):
    answer = convatlas("count", *args)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert len(answer.err.splitlines()) <= 2


@pytest.mark.parametrize("option", ["width=-1", "width=0", "num_classes=-3"])
def test_network_of_senseless_size_is_refused(convatlas, option):
    answer = convatlas("count", "mobilenet_v2", option)
    assert (answer.code, answer.out) == (2, "")
    assert option.split("=")[0] in answer.err
