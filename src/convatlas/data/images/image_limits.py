"""How large an image may be, judged from its header before memory is taken for its pixels."""

from PIL import Image

MAX_SIDE = 65_535  # pixels; JPEG ends there too
MAX_PIXELS = 64_000_000  # of one image, unless the user allows another number
MAX_PIXELS_OPTION = 1_000_000_000  # that the user can allow
MAX_JPEG_PIXELS = 300_000_000  # that are decoded at a reduced size; phones reach 200 million
JPEG_SCALES = (2, 4, 8)  # that the decoder itself can shrink by
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


def shrink_jpeg(image: Image.Image, max_pixels: int) -> None:
    """Have a JPEG above the limit decoded at a fraction of its size; leave any other image.

    The decoder then never holds the full picture, so memory stays within the limit.
    """
    width, height = image.size
    pixels = width * height
    if image.format not in ("JPEG", "MPO") or not max_pixels < pixels <= MAX_JPEG_PIXELS:
        return
    for scale in JPEG_SCALES:
        if -(-width // scale) * -(-height // scale) <= max_pixels:
            image.draft(None, (width // scale, height // scale))
            return


def megapixels(pixels: int) -> str:
    """Return `64 megapixels`, or `20,000 pixels` where they are few."""
    if pixels < FEW_PIXELS:
        return f"{pixels:,} pixels"
    return f"{pixels / 1e6:.4g} megapixels"
