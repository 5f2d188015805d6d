import pytest
from torch import nn

from convatlas.cli.options import parse_options, parse_shape, typed
from convatlas.errors import UsageError
from convatlas.models.registry import Entry


class Net(nn.Module):
    def __init__(
        self,
        *,
        width: float = 1.0,
        num_classes: int = 10,
        residual: bool = True,
        mode: str = "add",
        sizes: tuple[int, ...] = (1, 2),
        dropout: float | None = None,
        act: type[nn.Module] = nn.ReLU,
    ):
        super().__init__()


ENTRY = Entry("net", Net, {"num_classes": 5})


def test_value_takes_the_type_of_the_default():
    texts = ["width=2", "num_classes=3", "residual=no", "mode=3", "sizes=4,5,6", "dropout=0.5"]
    got = parse_options(ENTRY, texts)
    assert got == {
        "width": 2.0,
        "num_classes": 3,
        "residual": False,
        "mode": "3",
        "sizes": (4, 5, 6),
        "dropout": 0.5,
    }
    assert [type(value) for value in got.values()] == [float, int, bool, str, tuple, float]


@pytest.mark.parametrize("word", ["true", "True", "yes", "on", "1"])
def test_words_for_true(word):
    assert typed("residual", word, False) is True


def test_none_is_none_only_where_the_default_is():
    assert parse_options(ENTRY, ["dropout=none"]) == {"dropout": None}
    assert parse_options(ENTRY, ["mode=none"]) == {"mode": "none"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width", "form option=value"),
        ("=3", "form option=value"),
        ("widht=1", "no option 'widht'; nearest: width; it takes width, num_classes"),
        ("width=wide", "'width' must be a number, got 'wide'"),
        ("width=nan", "'width' must be finite, got 'nan'"),
        ("width=inf", "'width' must be finite, got 'inf'"),
        ("num_classes=2.5", "'num_classes' must be a whole number, got '2.5'"),
        ("residual=perhaps", "'residual' must be true or false, got 'perhaps'"),
        ("act=ReLU", "'act' cannot be set here"),
    ],
)
def test_what_cannot_be_used_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_options(ENTRY, [text])


def test_option_given_twice_is_refused():
    with pytest.raises(UsageError, match="'width' is given twice"):
        parse_options(ENTRY, ["width=1", "width=2"])


@pytest.mark.parametrize(
    ("text", "shape"),
    [("3x224x224", (3, 224, 224)), ("1X28X28", (1, 28, 28)), ("3,8,9", (3, 8, 9)), ("7", (7,))],
)
def test_input_sizes(text, shape):
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "3x", "x3", "3x-1x2", "3x0x2", "axb", "3x2.5x2", "3 224"])
def test_senseless_input_size_is_refused(text):
    with pytest.raises(UsageError, match="like 3x224x224"):
        parse_shape(text)
