"""A run is asked about paths, folders, patterns and images in memory, never about a letter."""

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data.images.read import read_image
from convatlas.errors import UsageError
from convatlas.explain.classes.prediction import Prediction
from convatlas.pipeline.run import Run
from convatlas.tasks import images as image_room


class Red:
    """Answers with the share of red in the first pixel."""

    def __init__(self):
        self.batches = []

    def predict(self, images):
        self.batches.append(len(images))
        share = torch.stack([image[0, 0, 0].float() / 255 for image in images])
        return torch.stack([share, 1 - share, 0 * share], 1)


@pytest.fixture
def run(tmp_path, config):
    run = Run(tmp_path, config)
    run._predictor = Red()  # pyright: ignore
    return run


@pytest.fixture
def photos(tmp_path):
    """Five images two folders deep, with files that are none."""
    folder = tmp_path / "photos"
    for number in range(5):
        place = folder / ("deep/er" if number > 2 else "")
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (51 * number, 0, 0)).save(place / f"{number}.png")
    (folder / "notes.txt").write_text("none")
    (folder / ".hidden.png").write_text("none")
    return folder


def reds(run, images):
    return [round(p.probabilities[run.config.facts["classes"][0]] * 5) for p in run.predict(images)]


def test_a_path_is_one_image_as_text_too(run, photos):
    for path in (photos / "2.png", str(photos / "2.png"), [str(photos / "2.png")]):
        (prediction,) = run.predict(path)
        assert prediction.file == str(photos / "2.png")
        assert prediction.probability == pytest.approx(0.6)
        assert prediction.label == run.config.facts["classes"][1]


def test_a_missing_path_is_one_error_that_names_it(run):
    (prediction,) = run.predict("photo.jpg")
    assert prediction.error == "photo.jpg: no such file"


def test_a_folder_is_searched_to_the_end_and_what_is_left_out_is_said(run, photos):
    said = []

    class Told:
        def say(self, text):
            said.append(text)

        def bar(self, *args, **options):
            from convatlas.progress import SilentBar

            return SilentBar()

    predictions = run.predict(photos, progress=Told())
    assert len(predictions) == 5
    assert reds(run, str(photos)) == [0, 1, 2, 3, 4]
    assert "2 files left out" in said[0]
    assert "notes.txt" in said[0]


def test_patterns_find_files(run, photos):
    assert reds(run, str(photos / "*.png")) == [0, 1, 2]
    assert reds(run, photos / "**" / "*.png") == [0, 1, 2, 3, 4]
    (none,) = run.predict(str(photos / "*.jpg"))
    assert "no file matches this pattern" in none.error


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(run, photos):
    (photos / "0.png").rename(photos / "a[12].png")
    assert reds(run, photos / "a[12].png") == [0]


def test_an_empty_folder_is_an_error_and_not_nothing(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (prediction,) = run.predict(tmp_path / "empty")
    assert prediction.error.endswith("empty: no image in this folder")


def forms(picture):
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy())
    return {
        "pillow": picture,
        "rgba": picture.convert("RGBA"),
        "array": array,
        "int64": array.astype(np.int64),
        "16 bit": array.astype(np.uint16) * 257,
        "0..1": array / 255,
        "0..255": array.astype(np.float32),
        "channels first": np.moveaxis(array, 2, 0),
        "tensor": tensor.permute(2, 0, 1),
        "tensor 0..1": tensor.permute(2, 0, 1) / 255,
        "channels last": tensor,
        "batch": tensor.permute(2, 0, 1)[None],
        "array batch": array[None],
    }


@pytest.mark.parametrize("form", forms(Image.new("RGB", (6, 5))))
def test_images_in_memory_are_answered_as_their_file_is(run, tmp_path, form):
    values = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(values).save(tmp_path / "x.png")
    (expected,) = run.predict(tmp_path / "x.png")
    value = forms(Image.open(tmp_path / "x.png"))[form]
    for asked in (value, [value]):
        (prediction,) = run.predict(asked)
        assert prediction.file == "image 1"
        assert prediction.probabilities == expected.probabilities


def test_pillow_images_are_turned_upright_and_left_as_they_are(run, tmp_path):
    picture = Image.new("RGB", (6, 4))
    picture.putpixel((5, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[274] = 2  # mirrored
    picture.save(tmp_path / "x.png", exif=exif)
    assert read_image(tmp_path / "x.png", 3)[0, 0, 0] == 255
    opened = Image.open(tmp_path / "x.png")
    assert reds(run, opened) == [5]
    assert opened.getexif()[274] == 2


def test_grey_arrays_are_images(run):
    run.config.facts["channels"] = 1
    assert reds(
        run, [np.full((4, 5), 102, np.uint8), torch.ones(4, 5), Image.new("1", (3, 3))]
    ) == [
        2,
        5,
        0,
    ]


@pytest.mark.parametrize("wrong", [7, b"bytes", {"a": 1}, np.array(["a"]), np.zeros((2, 5, 7))])
def test_what_is_no_image_is_refused(run, wrong):
    with pytest.raises(UsageError):
        run.predict(wrong)


def test_numbers_of_no_known_range_are_an_error_of_that_image(run):
    fine, odd = run.predict([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 1e6)])
    assert fine.error is None
    assert odd.error.startswith("image 2: floats must lie in")


def test_a_generator_is_read_batch_by_batch(run, monkeypatch):
    monkeypatch.setattr(image_room, "ASKED_BATCH", 4)
    alive = []

    def many():
        for number in range(10):
            alive.append(number)
            yield np.zeros((4, 4, 3), np.uint8)

    answers = run.predict_each(many())
    next(answers)
    assert len(alive) == 4
    assert len(list(answers)) == 9
    assert run._predictor.batches == [4, 4, 2]
    assert len(run.predict(many())) == 10


def test_top_names_the_most_probable_classes_best_first():
    prediction = Prediction("x", "b", 0.6, {"a": 0.1, "b": 0.6, "c": 0.3})
    assert prediction.top(2) == [("b", 0.6), ("c", 0.3)]
    assert Prediction("x", None, None, None, "bad").top() == []
