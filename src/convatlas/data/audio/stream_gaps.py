"""What is missing of an Ogg or MP3 file by its own counts and checksums.

Their decoders go on behind a gap without a word, so what they give says nothing of it.

Source: RFC 3533, section 6 (Ogg pages); the Xing header that LAME and others write (MP3).
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

PAGE = b"OggS"
PAGE_HEAD = struct.Struct("<4sBBqIIIB")  # mark, version, flags, position, stream, number, sum, size
SUM_AT = 22  # place of the checksum in a page
LAST = 4  # flag of the last page of a stream
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # each byte, bits turned round
ALL_BITS = 0xFFFFFFFF
TAGS = (b"Xing", b"Info")
HAS_FRAMES, HAS_BYTES = 1, 2
FIRST_FRAME = 256  # bytes from its start that hold the tag
OLD_TAG = 128  # bytes of an ID3v1 tag at the end


class Page(NamedTuple):
    """One page of an Ogg file."""

    flags: int
    stream: int
    number: int
    whole: bool


def gap_in_ogg(path: Path) -> str:
    """Return what is wrong with the pages of an Ogg file; empty where they are whole."""
    numbers: dict[int, int] = {}  # of the next page of each stream that goes on
    with path.open("rb") as file:
        count = 0
        while (found := _page(file)) is not None:
            if not found.whole:
                return f"truncated or damaged (page {count + 1:,} does not fit its checksum)"
            expected = numbers.get(found.stream, found.number)
            if found.number != expected:
                return f"truncated or damaged (pages are missing before page {count + 1:,})"
            if found.flags & LAST:
                numbers.pop(found.stream, None)
            else:
                numbers[found.stream] = found.number + 1
            count += 1
        rest = file.read()
    if PAGE in rest:
        return f"damaged (something else stands behind page {count:,})"
    return "truncated (it ends without its last page)" if numbers else ""


def _page(file: BinaryIO) -> Page | None:
    """Read the next page; None where none begins, with the file where it was."""
    start = file.tell()
    head = file.read(PAGE_HEAD.size)
    if len(head) < PAGE_HEAD.size or not head.startswith(PAGE):
        file.seek(start)
        return None
    _, _, flags, _, stream, number, checksum, segments = PAGE_HEAD.unpack(head)
    sizes = file.read(segments)
    body = file.read(sum(sizes))
    short = len(sizes) < segments or len(body) < sum(sizes)
    page = head[:SUM_AT] + bytes(4) + head[SUM_AT + 4 :] + sizes + body
    return Page(flags, stream, number, not short and ogg_checksum(page) == checksum)


def ogg_checksum(page: bytes) -> int:
    """Return the checksum of a page whose own field is zero.

    It is the polynomial of zlib's with all bits in the other order, from 0 and without a last turn.
    """
    turned = zlib.crc32(page.translate(MIRRORED), ALL_BITS) ^ ALL_BITS
    return int(f"{turned:032b}"[::-1], 2)


def gap_in_mp3(path: Path) -> str:
    """Return by how many bytes an MP3 file is shorter than its header says; empty where it is not.

    A file without that header promises nothing.
    """
    with path.open("rb") as file:
        start = _first_frame(file)
        file.seek(start)
        promised = _promised_bytes(file.read(FIRST_FRAME))
        end = file.seek(0, 2)
        file.seek(max(start, end - OLD_TAG))
        if file.read(3) == b"TAG":
            end -= OLD_TAG
    there = end - start
    short = promised is not None and there < promised
    return f"truncated ({there:,} of {promised:,} bytes)" if short else ""


def _first_frame(file: BinaryIO) -> int:
    """Return where the sound begins, behind tags of ID3v2."""
    start = 0
    while (head := file.read(10)).startswith(b"ID3") and len(head) == 10:
        size = 0
        for byte in head[6:10]:  # seven bits of each
            size = size << 7 | byte & 0x7F
        start += 10 + size
        file.seek(start)
    return start


def _promised_bytes(frame: bytes) -> int | None:
    place = max(frame.find(tag) for tag in TAGS)
    if place < 0 or len(frame) < place + 16:
        return None
    flags = int.from_bytes(frame[place + 4 : place + 8], "big")
    if not flags & HAS_BYTES:
        return None
    at = place + (12 if flags & HAS_FRAMES else 8)
    return int.from_bytes(frame[at : at + 4], "big")
