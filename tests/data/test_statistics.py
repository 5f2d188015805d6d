"""Figures of data, held to what plain arithmetic gives of the same examples."""

import numpy as np
import pytest
import torch

from convatlas.data.audio.statistics import sound_statistics
from convatlas.data.boxes.boxes import Boxes
from convatlas.data.boxes.statistics import box_statistics
from convatlas.data.graphs.statistics import series_statistics
from convatlas.data.images.statistics import image_statistics
from convatlas.data.masks.mask_files import Mask
from convatlas.data.masks.statistics import mask_statistics
from convatlas.data.statistics import class_balance, evenly_spaced, spread
from convatlas.data.text.statistics import text_statistics
from convatlas.data.text.vocabulary import Characters


class Images:
    """Images in memory as a split."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def read(self, index):
        return self.images[index]


def seen(done, total):
    pass


def rows_of(table):
    return {row[0]: dict(zip(table.heads[1:], row[1:], strict=True)) for row in table.rows}


def test_a_spread_is_that_of_numpy_without_what_is_missing():
    values = np.random.default_rng(0).normal(size=101)
    rows = rows_of(spread("x", {"a": [*values, np.nan], "none": [np.nan]}))
    assert list(rows) == ["a"]
    assert rows["a"]["mean"] == pytest.approx(values.mean())
    assert rows["a"]["median"] == pytest.approx(np.median(values))
    assert rows["a"]["95 %"] == pytest.approx(np.percentile(values, 95))
    assert rows["a"]["largest"] == values.max()


def test_classes_are_counted_over_all_splits_the_most_frequent_first():
    table = class_balance({"test": {"a": 1, "b": 2}, "train": {"a": 3, "b": 6}})
    assert table is not None
    assert table.heads == ("class", "train", "test", "share")
    assert table.rows == [("b", 6, 2, 8 / 12), ("a", 3, 1, 4 / 12)]
    assert table.note == "the most frequent one is 2 times as frequent as the rarest"
    assert class_balance({}) is None
    bare = class_balance({"train": {"a": 3, "b": 0}})
    assert bare is not None
    assert bare.note == "the rarest one is in no split"


def test_channels_have_mean_and_deviation_of_all_pixels_of_images_of_any_size():
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
        for height, width in ((5, 7), (9, 4), (3, 3))
    ]
    sides, values = image_statistics(Images(images), seen)
    assert rows_of(sides)["width"]["largest"] == 7
    assert rows_of(sides)["height"]["median"] == 5
    pixels = torch.cat([image.flatten(1) for image in images], dim=1).double() / 255
    for name, channel in zip(("red", "green", "blue"), pixels, strict=True):
        row = rows_of(values)[name]
        assert row["mean"] == pytest.approx(float(channel.mean()))
        assert row["deviation"] == pytest.approx(float(channel.std(unbiased=False)))
        assert row["share of brightest"] == pytest.approx(float((channel == 1).double().mean()))


def test_of_many_images_some_from_all_over_are_read():
    assert evenly_spaced(5, 10) == [0, 1, 2, 3, 4]
    places = evenly_spaced(100, 10)
    assert len(places) == 10
    assert places[0] == 0
    assert places[-1] == 90
    image = torch.zeros(1, 2, 2, dtype=torch.uint8)
    sides, _ = image_statistics(Images([image] * 1001), seen)
    assert sides.note == "of 1,000 evenly spaced images"


def test_boxes_are_counted_by_class_and_by_the_sizes_of_coco():
    one = Boxes.of([((0, 0, 10, 20), 0, ""), ((0, 0, 100, 100), 1, "")], stated=(200, 100))
    two = Boxes.of([((0, 0, 32, 32), 0, "")], stated=(64, 64))
    table, sizes = box_statistics([one, two, Boxes.of([], stated=(9, 9))], ["a", "b"])
    assert table.rows == [("a", 2, 2, 1, 1, 0), ("b", 1, 1, 0, 0, 1)]
    rows = rows_of(sizes)
    assert rows["boxes of an image"]["mean"] == 1
    assert rows["width / image"]["mean"] == pytest.approx((10 / 200 + 100 / 200 + 32 / 64) / 3)
    assert rows["width / height"]["smallest"] == 0.5


def test_pixels_without_a_class_do_not_count_among_those_of_classes():
    masks = [
        Mask("a.png", (4, 2), counts={0: 5, 7: 1, 255: 2}, places={0: 0, 7: 1}),
        Mask("b.png", (2, 2), counts={0: 4}, places={0: 0, 7: 1}),
    ]
    (table,) = mask_statistics(masks, ["ground", "tree"])
    assert table.rows == [("ground", 9, 0.9, 2), ("tree", 1, 0.1, 1)]


def test_a_sine_has_the_level_that_it_has_and_a_clipped_one_is_noticed():
    time = torch.arange(8000) / 8000
    sine = 0.5 * torch.sin(2 * torch.pi * 100 * time)
    sounds = [sine, (4 * sine).clamp(-1, 1), torch.zeros(4000)]
    (table,) = sound_statistics(sounds.__getitem__, 3, 8000, seen)
    rows = rows_of(table)
    assert rows["seconds"]["smallest"] == 0.5
    assert rows["peak in dB"]["median"] == pytest.approx(-6.02, abs=0.01)
    assert rows["level in dB"]["median"] == pytest.approx(-9.03, abs=0.01)
    assert rows["level in dB"]["smallest"] == pytest.approx(-120)
    assert 0.6 < rows["share of clipped samples"]["largest"] < 0.7  # 2 sin x is above 1 for 2 / 3


def test_texts_are_measured_in_characters_and_in_what_the_vocabulary_knows():
    vocabulary = Characters("ab")
    (table,) = text_statistics({"texts": (["abab", "abxx"], vocabulary)})
    rows = rows_of(table)
    assert rows["characters"]["mean"] == 4
    assert rows["share of unknown symbols"]["largest"] == 0.5
    (both,) = text_statistics({"en": (["a"], vocabulary), "sv": (["bb"], vocabulary)})
    assert rows_of(both)["sv: symbols"]["mean"] == 2


def test_sensors_that_are_silent_or_stand_still_are_counted():
    nan = np.nan
    readings = np.array([[1, 5, nan], [2, 5, nan], [nan, 5, nan], [3, 5, nan]], np.float32)
    (table,) = series_statistics(readings, None, "km/h")
    rows = rows_of(table)
    assert rows["readings in km/h"]["mean"] == pytest.approx((1 + 2 + 3 + 20) / 7)
    assert rows["share missing of a sensor"]["largest"] == 1
    assert rows["mean of a sensor"]["smallest"] == 2
    assert table.note == "1 sensors always read the same; 1 have no reading at all"
