"""A generator by the command line: its folder, its report, drawn images, what is refused."""

import json

import pytest
import torch
from PIL import Image

from convatlas.cli.main import main
from convatlas.errors import DataError, UsageError
from convatlas.pipeline.generator_run import curve, holds_generator, open_generator
from convatlas.pipeline.train_generator import train_generator


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loose")
    for number in range(24):
        value = torch.full((20, 16), 10 * number, dtype=torch.uint8)
        Image.fromarray(value.numpy()).save(folder / f"{number}.png")
    return folder


def told(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--json"])
    assert not ended.value.code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.mark.filterwarnings("ignore")
def test_the_command_writes_a_folder_that_draws_again(images, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--set", "width=0.03", "--set", "batch_size=8", "--epochs", 2, "--out", out]
    answer = told(capsys, "train", "dcgan_r28", images, *words)
    assert answer["ended"] == "epochs"
    assert set(answer["figures"]) >= {"accuracy", "diversity"}
    assert holds_generator(out)
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4
    assert 'src="samples.png"' in page
    run, generator = open_generator(out)
    assert (run.options["size"], run.options["in_channels"], run.images) == (28, 1, 24)
    drawn = told(capsys, "sample", out, "--count", 2, "--out", tmp_path / "drawn")
    with Image.open(drawn["files"]["images"][1]) as image:
        got = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, 28, 28)
    assert torch.equal(got, generator.draw(2)[1])
    with pytest.raises(UsageError, match="already has a generator"):
        train_generator("dcgan_r28", images, out=out)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lrr": 0.1}, "no option 'lrr'.*lr"),
        ({"size": 30}, "size must be one of 64, 32, 28, got 30"),
        ({"in_channels": 3}, "in_channels is what the images have"),
        ({"beta1": 1.0}, "beta1 must be from 0 to under 1"),
    ],
)
def test_options_are_refused_before_any_work(options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        train_generator("dcgan_r28", tmp_path, options=options, out=tmp_path / "run")


def test_too_few_images_and_a_folder_of_something_else_are_refused(images, tmp_path):
    with pytest.raises(DataError, match="128 images or more"):
        train_generator("dcgan_r28", images, options={"width": 0.03}, out=tmp_path / "run")
    with pytest.raises(UsageError, match="holds something else"):
        train_generator("dcgan_r28", images, out=images)


def test_a_curve_ends_at_the_last_step_and_its_largest_value():
    log = [{"step": 50, "accuracy": 0.25}, {"step": 100, "accuracy": 0.5}]
    assert 'points="320.0,80.0 600.0,40.0"' in curve(log, "accuracy", "right")
    assert curve([], "accuracy", "right") == ""
