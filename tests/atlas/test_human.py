import pytest

from convatlas.atlas.human import human


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
    assert human(value, unit) == text
