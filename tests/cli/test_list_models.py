import json

import pytest

from convatlas.cli.main import main


def run(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        main(["list", *args])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def test_off_a_terminal_the_list_is_plain_aligned_text(capsys):
    code, out, err = run(capsys, "--filter", "mobilenet_v2*")
    heading, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert heading.split("  ")[0] == "name"
    assert out.isascii()
    assert " ".join(lines[0].split()) == (
        "mobilenet_v2 classify 3.50 M 301 M 72 % imagenet public Sandler et al., CVPR 2018"
    )
    ends = {line.index("M  ") for line in lines}
    assert len(ends) == 1  # params are flush right under each other


def test_an_accuracy_of_several_crops_is_marked(capsys):
    _, out, _ = run(capsys, "--filter", "vgg16_1x1")
    assert "71.9 % imagenet *" in out
    assert out.endswith("* not measured with one plain pass; `convatlas claims NAME` says how\n")


def test_limits_take_suffixes(capsys):
    code, out, _ = run(capsys, "--max-params", "100k", "--max-macs", "1M", "--json")
    names = [row["model"] for row in json.loads(out)["models"]]
    assert code == 0
    assert names == [
        *("lenet5", "lenet5_modern", "linear_classifier", "linear_classifier_cifar"),
        *("swishnet_slim", "swishnet_wide", "tcn"),
    ]


def test_json_holds_plain_numbers(capsys):
    _, out, _ = run(capsys, "--filter", "lenet5", "--json")
    assert json.loads(out)["models"] == [
        {
            "model": "lenet5",
            "task": "classify",
            "paper": "LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 86(11), 1998",
            "params": 60_000,
            "macs": 325_680,
            "accuracy": 0.9905,
            "dataset": "mnist",
            "setting": None,
            "pretrained": False,
        }
    ]


def test_only_those_with_public_weights_are_listed_where_asked(capsys):
    _, out, _ = run(capsys, "--pretrained", "--filter", "mobilenet_v2*", "--json")
    names = [row["model"] for row in json.loads(out)["models"] if row["pretrained"]]
    assert names == ["mobilenet_v2", "mobilenet_v2_w0.5", "mobilenet_v2_w1.4"]
    assert len(json.loads(out)["models"]) == 3


def test_nothing_within_the_limits_is_said_and_is_no_error(capsys):
    assert run(capsys, "--max-params", "1") == (0, "no network is within these limits\n", "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--task", "classfy"), "no task 'classfy'; nearest: classify"),
        (("--max-params", "few"), "not a number: 'few'"),
    ],
)
def test_bad_usage_leaves_with_2_and_says_why(capsys, args, message):
    code, _, err = run(capsys, *args)
    assert code == 2
    assert message in err
