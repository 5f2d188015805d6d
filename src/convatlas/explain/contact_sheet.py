"""Many small pictures on one: samples of data with what is known of each below it."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from convatlas.text import printable

CELL = 224  # pixels of a picture's longer side
GAP = 12
LINE = 16  # height of a line of text
FONT_SIZE = 12
MAX_LINES = 4  # of what is known of a sample
COLUMNS = 4
INK, FAINT, GROUND = (20, 20, 20), (120, 120, 120), (255, 255, 255)
Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Sample:
    """One example as it is shown.

    Args:
        picture: of the example with its answer.
        words: what is known of it, each with the colour that it has in the picture, if any.
    """

    picture: Image.Image
    words: Sequence[tuple[str, Colour | None]] = ()


def contact_sheet(samples: Sequence[tuple[str, Sample]], columns: int = COLUMNS) -> Image.Image:
    """Lay samples out in rows, each with its file's name and its words below.

    Args:
        samples: name and sample of each, one at least.
        columns: how many stand beside each other.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("contact_sheet: must have a sample at least")
    columns = min(columns, len(samples))
    small = [(name, Sample(_small(sample.picture), sample.words)) for name, sample in samples]
    rows = [small[i : i + columns] for i in range(0, len(small), columns)]
    pictures = [max(sample.picture.height for _, sample in row) for row in rows]
    lines = [max(_lines(sample) for _, sample in row) for row in rows]
    heights = [picture + LINE * count for picture, count in zip(pictures, lines, strict=True)]
    size = (GAP + columns * (CELL + GAP), GAP + sum(height + GAP for height in heights))
    sheet = Image.new("RGB", size, GROUND)
    top = GAP
    for row, height, below in zip(rows, heights, pictures, strict=True):
        for place, (name, sample) in enumerate(row):
            _add(sheet, GAP + place * (CELL + GAP), top + below, name, sample)
        top += height + GAP
    return sheet


def fitted(picture: Image.Image, side: int = CELL) -> Image.Image:
    """Return a picture whose longer side is `side`; small ones are enlarged by whole numbers."""
    longest = max(picture.size)
    if longest <= side:
        return picture.resize([each * (side // longest) for each in picture.size], 0)
    share = side / longest
    sides = [max(1, round(each * share)) for each in picture.size]
    return picture.resize(sides, Image.Resampling.LANCZOS)


def _small(picture: Image.Image) -> Image.Image:
    picture = picture.convert("RGB")
    return picture if max(picture.size) == CELL else fitted(picture)


def _lines(sample: Sample) -> int:
    return 1 + min(len(sample.words), MAX_LINES)


def _add(sheet: Image.Image, left: int, below: int, name: str, sample: Sample) -> None:
    """Draw a sample whose picture ends, and whose words begin, `below` the top."""
    picture = sample.picture
    sheet.paste(picture, (left + (CELL - picture.width) // 2, below - picture.height))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    _line(draw, font, left, below, _cut(draw, font, name, begin=True), FAINT)
    words = list(sample.words[:MAX_LINES])
    if len(sample.words) > MAX_LINES:
        words[-1] = (f"and {len(sample.words) - MAX_LINES + 1} more", None)
    for number, (text, colour) in enumerate(words, start=1):
        y, x = below + number * LINE, left
        if colour is not None:
            draw.rectangle((x, y + 4, x + 9, y + 13), fill=colour, outline=FAINT)
            x += 14
        _line(draw, font, x, y, _cut(draw, font, text, begin=False, width=CELL - (x - left)), INK)


def _line(draw, font, left: int, top: int, text: str, colour: Colour) -> None:
    draw.text((left, top + 1), text, fill=colour, font=font)


def _cut(draw, font, text: str, *, begin: bool, width: int = CELL) -> str:
    """The text as it can be drawn, shortened to the width; of a path the end is kept."""
    plain = printable(text).encode("latin-1", "replace").decode("latin-1")
    shown = plain
    while shown and draw.textlength(shown, font=font) > width:
        plain = plain[1:] if begin else plain[:-1]
        shown = f"...{plain}" if begin else f"{plain}..."
    return shown
