"""The depth that a PNG states for its values, which Pillow does not hand out."""

import io
import struct
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_depth(image: Path | bytes) -> int | None:
    """Return the significant bits of the sBIT chunk; None without one, or for another format."""
    with io.BytesIO(image) if isinstance(image, bytes) else image.open("rb") as file:
        if file.read(8) != SIGNATURE:
            return None
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"sBIT":
                return max(file.read(length), default=None)
            if kind in (b"IDAT", b"IEND"):  # sBIT stands before the pixels
                return None
            file.seek(length + 4, 1)
    return None
