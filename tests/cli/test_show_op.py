import json
from xml.etree import ElementTree

import pytest

from convatlas.cli.main import main
from convatlas.ops.catalog.find import KINDS


def run(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        main(["show-op", *args])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def test_sizes_cost_and_picture_are_shown(capsys):
    sizes = ("in_channels=3", "out_channels=256", "kernel=5", "size=12", "padding=valid")
    code, out, err = run(capsys, "separable", *sizes)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "input 3x12x12 -> output 256x8x8" in lines
    assert "separable 843 53,952" in lines
    assert "ordinary 19,200 1,228,800" in lines
    assert "ratio 0.04391 0.04391" in lines
    assert "step 2 of 2" in lines
    assert "drawn smaller, with out_channels=6 size=7" in lines


def test_json_is_one_object(capsys, tmp_path):
    picture = tmp_path / "new" / "shuffle.svg"
    args = ("shuffled-group", "in_channels=4", "out_channels=4", "groups=2", "size=3")
    code, out, err = run(capsys, *args, "--json", "--svg", str(picture))
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert (answer["params"], answer["macs"]) == (8, 72)
    assert answer["ordinary"] == {"params": 16, "macs": 144}
    assert answer["ratio"] == {"params": 0.5, "macs": 0.5}
    assert answer["picture"]["channels"] == [[1, 1, 0, 0], [0, 0, 1, 1]] * 2
    assert answer["picture"]["options"] == answer["options"]
    assert answer["files"] == {"svg": str(picture)}
    root = ElementTree.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_without_a_kind_all_are_listed(capsys):
    _, out, _ = run(capsys)
    assert all(name in out for name in KINDS)
    _, out, _ = run(capsys, "--json")
    assert [kind["kind"] for kind in json.loads(out)["kinds"]] == list(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_can_be_shown(capsys, name):
    code, out, err = run(capsys, name)
    assert (code, err) == (0, "")
    assert "channels: a row for each output" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("seperable",), "no kind of convolution 'seperable'; nearest: separable"),
        (("conv", "kernle=3"), "conv has no option 'kernle'; nearest: kernel"),
        (("conv", "kernel"), "'kernel' is not of the form key=value"),
        (("conv", "kernel=3", "kernel=5"), "option 'kernel' is given twice"),
        (("conv", "kernel=big"), "option 'kernel' must be a whole number, got 'big'"),
        (("conv", "size=2", "kernel=5", "padding=0"), "spans 5 positions, but size 2"),
        (("grouped", "groups=3"), "in_channels must be a multiple of groups, got 16 for 3"),
        (("masked", "mask=C"), "kind must be A or B, got 'C'"),
        (("masked", "kernel=4"), "kernel must be odd, got (4, 4)"),
        (("spectral", "vertices=2"), "vertices must be 4 or more, got 2"),
    ],
)
def test_bad_usage_leaves_with_2_and_says_why(capsys, args, message):
    code, _, err = run(capsys, *args)
    assert code == 2
    assert message in err


def test_a_file_that_cannot_be_written_is_named(capsys, tmp_path):
    (tmp_path / "taken").write_text("")
    code, _, err = run(capsys, "conv", "--svg", str(tmp_path / "taken" / "a.svg"))
    assert code == 2
    assert "--svg: cannot write" in err
