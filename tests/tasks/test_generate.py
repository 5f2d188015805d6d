"""The task of generating: what it refuses, what it draws, and the file that it exports."""

import html
import json
import math
import shutil
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import convatlas as ca
from convatlas.cli.main import main
from convatlas.data.images.stored_reading import PLAIN
from convatlas.data.pixels.levels import from_levels, level_values, to_levels
from convatlas.data.pixels.open_pixels import open_pixels, open_pixels_test
from convatlas.data.pixels.pixel_data import PixelFacts
from convatlas.deploy.pixel_model import PixelModel
from convatlas.errors import DataError, UsageError
from convatlas.explain.pixels.baselines import IndependentValues, packed_bits
from convatlas.explain.pixels.evaluation import NETWORK, PixelEvaluation
from convatlas.models import create_model
from convatlas.tasks import find_task
from convatlas.tasks.pixel_options import pixel_options

GATED = {"maps": 6, "layers": 2, "kernel": 3, "head_maps": 6}


def facts(**changes):
    plain = {"classes": [], "told": False, "channels": 1, "height": 4, "width": 5}
    return PixelFacts(**{**plain, "levels": 4, "resized": False, **changes})


def write(folder, shapes, kind="L"):
    folder.mkdir(parents=True)
    for number, (width, height) in enumerate(shapes):
        random = np.random.default_rng(number)
        pixels = random.integers(0, 256, (height, width), dtype=np.uint8)
        Image.fromarray(pixels).convert(kind).save(folder / f"{number}.png")
    return folder


def opened(source, **options):
    plain = {"seed": 0, "max_broken": 0.0, "progress": lambda done, total: None}
    return open_pixels(source, reading=PLAIN, **plain, **options)


def test_a_levels_value_has_that_level():
    values = torch.arange(256, dtype=torch.uint8)
    for levels in range(2, 257):
        every = torch.arange(levels)
        assert torch.equal(to_levels(from_levels(every, levels), levels).long(), every)
        assert level_values(levels)[[0, -1]].tolist() == [0, 255]
        assert to_levels(values, levels).tolist() == [v * levels // 256 for v in range(256)]


def test_loose_images_are_split_and_stored(tmp_path):
    data = opened(write(tmp_path / "d", [(6, 5)] * 20), levels=2)
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 14,
        "val": 3,
        "test": 3,
    }
    assert data.facts_.classes == []
    assert data.splits["val"].read(0).shape == (1, 5, 6)
    data.save(tmp_path / "split.json")
    again = find_task("generate").reopen(tmp_path / "split.json", None, data.facts())
    assert again.splits["test"].files == data.splits["test"].files
    assert torch.equal(again.splits["test"].read(1), data.splits["test"].read(1))


def test_images_of_several_sizes_are_refused_or_resized(tmp_path):
    folder = write(tmp_path / "d", [(6, 5), (9, 5)] * 5)
    with pytest.raises(DataError, match="widths from 6 to 9 and heights from 5 to 5; --set size"):
        opened(folder)
    data = opened(folder, size=8)
    assert all(data.splits["train"].read(n).shape == (1, 8, 8) for n in range(6))
    with pytest.raises(DataError, match="at most 256 pixels a side"):
        opened(write(tmp_path / "large", [(300, 300)] * 5))


def test_classes_are_told_only_where_there_are_some(tmp_path):
    with pytest.raises(UsageError, match="has no classes; put the images into one folder"):
        opened(write(tmp_path / "loose", [(4, 4)] * 10), told=True)
    for name in "ab":
        write(tmp_path / "classes" / name, [(4, 4)] * 8)
    data = opened(tmp_path / "classes", told=True)
    image, label = data.splits["test"].item(0)
    assert (image.shape, int(label)) == ((4, 4, 1), data.splits["test"].labels[0])
    judged = open_pixels_test(
        tmp_path / "classes", data.facts(), max_broken=0.0, progress=lambda done, total: None
    )
    assert judged.splits["test"].labels == [0] * 8 + [1] * 8


def test_a_network_must_suit_what_is_told(tmp_path):
    folder = write(tmp_path / "d", [(4, 4)] * 10)
    with pytest.raises(UsageError, match="must be told the class of each image; --set by_class"):
        ca.fit(folder, model="gated_pixelcnn_conditional_small", out=tmp_path / "run", epochs=1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"levels": 1}, "levels must be a whole number from 2 to 256, or binary, got 1"),
        ({"levels": 4.5}, "levels must be a whole number from 2 to 256, or binary, got 4.5"),
        ({"size": 2}, "size must be a whole number of pixels from 4 to 256, got 2"),
        ({"by_class": 3}, "by_class must be true or false"),
        ({"level": 3}, "'level' is no option here; nearest: levels"),
    ],
)
def test_options_are_checked_before_any_work(tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        ca.fit(tmp_path, task="generate", **options)


def test_the_numbers_of_the_command_line_are_whole():
    assert pixel_options({"levels": 4.0, "size": 8.0}) == {"levels": 4, "size": 8, "told": False}
    assert pixel_options({"levels": "binary"})["levels"] == 2


def test_independent_values_cost_their_entropy():
    """Half of the images black, half white: a bit for each value, whatever its neighbours say."""
    counted = IndependentValues(facts(levels=2))
    images = torch.tensor([0, 255] * 500, dtype=torch.uint8)[:, None, None, None]
    for image in images.expand(-1, 1, 4, 5):
        counted.add(image)
    assert counted.bits(images[:2].expand(-1, 1, 4, 5)).tolist() == pytest.approx([1, 1])
    seen_less = 500 + 1 / 2
    assert counted.counts[0, 0, 0].tolist() == [seen_less, seen_less]


def test_packed_bits_are_those_of_zlib():
    random = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 20, 20), dtype=torch.uint8, generator=random)
    plain = zlib.compress(image.permute(1, 2, 0).numpy().tobytes(), 9)
    assert packed_bits(image, 256) == 8 * (len(plain) - 6) / 1200  # header and checksum
    assert packed_bits(image, 2) == pytest.approx(1, abs=0.1)  # noise of one bit a value


def test_bits_are_minus_the_logarithm_of_the_softmax():
    torch.manual_seed(0)
    model = PixelModel(create_model("gated_pixelcnn", in_channels=1, levels=4, **GATED), facts())
    (images,) = model.example(3)
    bits, logits = model(images)
    levels = to_levels(images.movedim(-1, 1), 4).long()
    expected = -logits.log_softmax(1).gather(1, levels[:, None])[:, 0] / math.log(2)
    torch.testing.assert_close(bits, expected)
    got, shares = model.image_bits(list(images))
    assert shares is None
    torch.testing.assert_close(got, expected.double().flatten(1).mean(1).detach())


def test_with_classes_an_image_is_a_mixture_of_them():
    torch.manual_seed(0)
    told = facts(classes=["a", "b", "c"], told=True)
    network = create_model(
        "gated_pixelcnn_conditional", in_channels=1, levels=4, conditions=3, **GATED
    )
    model = PixelModel(network, told)
    images, _ = model.example(2)
    bits, shares = model.image_bits(list(images))
    each = torch.stack([model(images, torch.full((2,), k))[0].flatten(1).sum(1) for k in range(3)])
    chances = 2 ** -each.detach().double()
    torch.testing.assert_close(bits, -chances.mean(0).log2() / 20, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shares, (chances / chances.sum(0)).T, atol=1e-5, rtol=1e-5)


def test_the_first_images_are_the_same_however_many_are_drawn(monkeypatch):
    torch.manual_seed(0)
    model = PixelModel(create_model("gated_pixelcnn", in_channels=1, levels=4, **GATED), facts())
    few = model.draw(3, seed=5)
    monkeypatch.setattr("convatlas.deploy.pixel_model.MAX_TOGETHER", 2)
    rows = []
    assert torch.equal(model.draw(5, seed=5, done=lambda *row: rows.append(row))[:3], few)
    assert rows == [(row, 12) for row in range(1, 13)]
    assert not torch.equal(model.draw(3, seed=6), few)
    assert few.shape == (3, 4, 5, 1)
    assert set(few.unique().tolist()) <= set(level_values(4).tolist())


def test_a_network_of_a_users_own_draws_by_whole_passes():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.level = nn.Parameter(torch.tensor([9.0, 0.0, 0.0, 0.0]))

        def forward(self, x):
            return self.level.view(1, 4, 1, 1, 1) + 0 * x[:, None]

    assert (PixelModel(Plain(), facts()).draw(2) == 0).float().mean() > 0.9


def test_a_network_that_is_no_better_than_independent_values_is_doubted():
    bits = {NETWORK: torch.tensor([2.0, 2.2]), "independent values": torch.tensor([1.9, 2.1])}
    judged = PixelEvaluation(facts(), bits, ["a", "b"], None)
    (doubt,) = judged.doubts()
    assert "no fewer than those of independent values (2 bits)" in doubt
    assert judged.figures == pytest.approx(
        {"bits_per_dim": 2.1, "bits_per_dim_independent_values": 2.0}
    )


def pixels_of(file):
    with Image.open(file) as image:
        return np.array(image)


def run_verb(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    return ended.value.code, capsys.readouterr()


@pytest.mark.slow
def test_sample_writes_images_and_a_sheet(generate, tmp_path, capsys):
    out = tmp_path / "drawn"
    words = ("sample", generate.run.path, "--count", 3, "--out", out)
    code, told = run_verb(capsys, *words, "--json")
    assert not code
    answer = json.loads(told.out)
    images = [pixels_of(file) for file in answer["files"]["images"]]
    expected = generate.run.predictor().draw(3)[..., 0].numpy()
    assert np.array_equal(np.stack(images), expected)
    assert pixels_of(answer["files"]["sheet"]).shape[1::-1] == (2 + 3 * (9 * 8 + 2), 2 + 9 * 9 + 2)
    code, told = run_verb(capsys, *words)
    assert code == 2
    assert "is there already; --force replaces it" in told.err
    code, told = run_verb(capsys, *words, "--force", "--class", "zero")
    assert code == 2
    assert "learned without classes" in told.err


@pytest.mark.slow
def test_sample_completes_a_given_image(generate, tmp_path, capsys):
    out = tmp_path / "drawn"
    words = ("sample", generate.run.path, "--count", 2, "--out", out, "--complete")
    assert not run_verb(capsys, *words, generate.new)[0]
    levels = to_levels(torch.from_numpy(pixels_of(generate.new)), 4)
    for number in (1, 2):
        drawn = torch.from_numpy(pixels_of(out / f"sample-00{number}.png"))
        assert torch.equal(to_levels(drawn, 4)[:4], levels[:4])
    large = tmp_path / "large.png"
    Image.new("L", (20, 9)).save(large)
    code, told = run_verb(capsys, *words, large, "--force")
    assert code == 3
    assert "large.png: must be 8 x 9 pixels" in told.err
    (answer,) = generate.run.predict(large)
    assert "got 20 x 9" in answer.error


@pytest.mark.slow
def test_the_code_of_the_report_reads_and_draws(generate, tmp_path, capsys, monkeypatch):
    file = shutil.copy(generate.new, tmp_path / "photo.png")
    code = generate.task.runtime_code(generate.run.files["onnx"], generate.run.config)
    assert code in html.unescape((generate.run.path / "report.html").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(code, {})
    (answer,) = generate.run.predict(file)
    assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(answer.bits, abs=1e-4)
    drawn = pixels_of(tmp_path / "drawn.png")
    assert drawn.shape == (9, 8)
    assert set(np.unique(drawn)) <= set(level_values(4).tolist())


@pytest.mark.slow
def test_a_run_that_learns_with_classes_draws_of_each(tmp_path, capsys):
    for name in ("dark", "light"):
        folder = tmp_path / "d" / name
        folder.mkdir(parents=True)
        for number in range(20):
            random = np.random.default_rng(number)
            pixels = random.integers(0, 90, (6, 6)) + 160 * (name == "light")
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    run = ca.fit(
        tmp_path / "d",
        task="generate",
        by_class=True,
        levels="binary",
        model="gated_pixelcnn_conditional_small",
        epochs=10,
        out=tmp_path / "run",
    )
    assert run.config.proof.passed
    assert run.config.figures["bits_per_dim"] < 0.5
    out = tmp_path / "drawn"
    words = ("sample", tmp_path / "run", "--count", 4, "--out", out)
    assert not run_verb(capsys, *words, "--class", "light")[0]
    assert np.mean([pixels_of(file) for file in out.glob("sample*")]) > 200
    assert run.predict(tmp_path / "d" / "dark" / "3.png")[0].label == "dark"
    code, told = run_verb(capsys, *words, "--class", "lihgt", "--force")
    assert code == 2
    assert "no class 'lihgt'; nearest: light; there are dark, light" in told.err
