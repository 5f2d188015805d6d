"""HEIC photographs, as some phones take them: read where the package for them is installed."""

from functools import lru_cache
from pathlib import Path

HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}


def missing_package(path: Path) -> str | None:
    """Return the package to install for a file that Pillow does not read; None for others."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp":
        return None
    if head[8:] in AVIF_BRANDS:
        return "an AVIF image, which this Pillow does not read; `pip install --upgrade pillow`"
    if head[8:] in HEIF_BRANDS:
        return "a HEIC image; `pip install pillow-heif` to read it"
    return None


@lru_cache(maxsize=1)
def register_heif() -> None:
    """Let Pillow read HEIC through `pillow_heif`, if that is installed."""
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports]  an extra
    except ImportError:
        return
    pillow_heif.register_heif_opener()
