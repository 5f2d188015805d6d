import pytest
import typer
from typer.testing import CliRunner

from convatlas.cli.numbers import bytes_option, count_option, seconds_option
from convatlas.errors import UsageError
from convatlas.typed_numbers import parse_bytes, parse_count, parse_seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1M", 1_000_000),
        ("50k", 50_000),
        ("50K", 50_000),
        ("2.5M", 2_500_000),
        ("2.5 M", 2_500_000),
        ("3G", 3_000_000_000),
        ("3e8", 300_000_000),
        (".5k", 500),
        ("1_000_000", 1_000_000),
        (" 7 ", 7),
    ],
)
def test_counts(text, value):
    assert parse_count(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500us", 0.0005),
        ("500µs", 0.0005),
        ("10ms", 0.010),
        ("2s", 2),
        ("2", 2),
        ("0.5", 0.5),
        ("10m", 600),
        ("10min", 600),
        ("2h", 7200),
        ("90s", 90),
        ("1h30m", 5400),
        ("1h 30m 5s", 5405),
        ("1d", 86400),
    ],
)
def test_times(text, value):
    assert parse_seconds(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2MB", 2_000_000),
        ("300kB", 300_000),
        ("300KB", 300_000),
        ("2M", 2_000_000),
        ("1.5MiB", 1.5 * 1024**2),
        ("4KiB", 4096),
        ("1GB", 1_000_000_000),
        ("17B", 17),
        ("17", 17),
    ],
)
def test_sizes(text, value):
    assert parse_bytes(text) == value


NONSENSE = ["", " ", "many", "M", "nan", "inf", "1e999", "0", "0M", "-1", "-5k", "1.2.3", "1,000"]
NONSENSE += ["1M2k", "12 34", "0x10", "1e", "½", "1\nM2"]


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("parse", [parse_count, parse_seconds, parse_bytes])
def test_nonsense_is_refused_and_quoted(parse, text):
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert f"'{text}'" in str(refused.value)


@pytest.mark.parametrize(
    ("parse", "text", "hint"),
    [
        (parse_seconds, "10MB", "no unit 'MB'; units are ns, us, µs, ms, s, m, min, h, d"),
        (parse_count, "10ms", "no unit 'ms'; units are k, K, M, G"),
        (parse_count, "5m", "no unit 'm'"),
        (parse_bytes, "10s", "no unit 's'"),
        (parse_seconds, "1h30", "each part needs a unit"),
    ],
)
def test_wrong_unit_is_answered_with_the_right_ones(parse, text, hint):
    with pytest.raises(UsageError, match=hint):
        parse(text)


def asked(option, *args):
    """What a command gets for an option."""
    got = []
    app = typer.Typer()

    @app.command()
    def command(value=option):
        got.append(value)

    answer = CliRunner().invoke(app, args)
    return answer, got


@pytest.mark.parametrize(
    ("maker", "text", "value"),
    [(count_option, "2M", 2e6), (seconds_option, "10ms", 0.010), (bytes_option, "2MB", 2e6)],
)
def test_option_gives_the_number_and_none_where_it_is_not_given(maker, text, value):
    assert asked(maker("--limit", help="."), "--limit", text)[1] == [value]
    assert asked(maker("--limit", help="."))[1] == [None]
    assert asked(maker("--limit", help=".", default=5.0))[1] == [5.0]


def test_refusal_names_the_option_and_the_reason():
    answer, got = asked(seconds_option("--max-latency", help="."), "--max-latency", "10MB")
    assert (answer.exit_code, got) == (2, [])
    assert "--max-latency" in answer.output
    assert "no unit 'MB'" in answer.output
