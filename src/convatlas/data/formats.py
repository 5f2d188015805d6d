"""Which files are images by their names, and what their suffixes promise."""

import os

SUFFIX_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx"), "JPEG2000"),
    **dict.fromkeys((".heic", ".heif"), "HEIF"),  # named as unreadable, not passed over
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tga": "TGA",
}


def is_image(file: str) -> bool:
    """Return whether a file is an image by its name."""
    return os.path.splitext(file)[1].lower() in SUFFIX_FORMATS
