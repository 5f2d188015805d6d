import pytest

from convatlas.text import count_text, format_number, shape_text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (850, "", "850"),
        (7_850, "", "7.85 k"),
        (3_504_872, "", "3.50 M"),
        (99_960, "", "100 k"),
        (3_857_973_248, "", "3.86 G"),
        (0.0123, "s", "12.3 ms"),
        (2.5e-5, "s", "25.0 µs"),
        (4_993_696, "bytes", "4.99 MB"),
        (400, "bytes", "400 bytes"),
        (71.8, "%", "71.8 %"),
        (None, "", "-"),
    ],
)
def test_figures_read_as_a_person_writes_them(value, unit, text):
    assert format_number(value, unit) == text


@pytest.mark.parametrize(
    ("count", "many", "text"),
    [
        (1, "boxes", "1 box"),
        (1, "masks", "1 mask"),
        (1, "classes", "1 class"),
        (1, "images", "1 image"),
        (0, "boxes", "0 boxes"),
        (2000, "files", "2,000 files"),
    ],
)
def test_one_thing_is_not_called_several(count, many, text):
    assert count_text(count, many) == text


def test_shapes_read_as_sizes_with_a_cross_between_them():
    assert shape_text((3, 224, 224)) == "3x224x224"
    assert shape_text([[1, 3, 8, 8], [1, 5]]) == "1x3x8x8 and 1x5"
    assert shape_text(()) == ""
