"""How large an image may be, judged from its header before memory is taken for its pixels."""

from PIL import Image

MAX_SIDE = 65_535  # pixels; JPEG ends there too
MAX_PIXELS = 64_000_000  # of one image, unless the user allows another number
MAX_PIXELS_OPTION = 1_000_000_000  # that the user can allow
MAX_JPEG_PIXELS = 300_000_000  # that are decoded at a reduced size; phones reach 200 million
JPEGS = ("JPEG", "MPO")  # as Pillow calls them
JPEG_SCALES = (1, 2, 4, 8)  # that the decoder itself can shrink by
FEW_PIXELS = 10_000


class ImageTooLarge(Exception):
    """An image above a limit; the message says which."""


def check_size(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse an image by its sides.

    Raises:
        ImageTooLarge: a side or the number of pixels is above the limit.
    """
    if max(width, height) > MAX_SIDE:
        raise ImageTooLarge(f"{width} x {height} pixels, above the limit of {MAX_SIDE:,} a side")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels, above the limit of {megapixels(max_pixels)}; "
            "--max-pixels allows more"
        )


def shrink_jpeg(image: Image.Image, max_pixels: int, enough: int | None = None) -> None:
    """Have a JPEG decoded at a fraction of its size where that will do; leave any other image.

    One above the limit of pixels is never held in full, so memory stays within it.

    Args:
        enough: pixels of the shorter side that will do; None: of an image within the limit all.
    """
    width, height = image.size
    if image.format not in JPEGS or width * height > MAX_JPEG_PIXELS:
        return
    sides = {scale: (-(-width // scale), -(-height // scale)) for scale in JPEG_SCALES}
    within = [scale for scale, (w, h) in sides.items() if w * h <= max_pixels]
    if not within:
        return
    will_do = [scale for scale in within if enough is not None and min(sides[scale]) >= enough]
    scale = max(will_do, default=within[0])
    if scale > 1:
        image.draft(None, (width // scale, height // scale))


def megapixels(pixels: int) -> str:
    """Return `64 megapixels`, or `20,000 pixels` where they are few."""
    if pixels < FEW_PIXELS:
        return f"{pixels:,} pixels"
    return f"{pixels / 1e6:.4g} megapixels"
