"""How memory grows with the number of images: so many small made-up ones are scanned and read.

Each step is a line with the memory that the process holds and the most that it held. Images are
mapped from the disk (`share=0`), as where memory does not hold them, and three passes are made.

    python benchmarks/many_images.py [--images 100000] [--side 16]
"""

import argparse
import resource
import struct
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from convatlas.data import CachedImages, open_images
from machine import write_results

CLASSES = 10
A_FOLDER = 1000  # files


def make_files(folder, count, side):
    """Small PNG files, all different: noise with its number in the first pixels.

    Written without Pillow, uncompressed, with their checksums.
    """
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    rows = np.zeros((side, 1 + 3 * side), np.uint8)  # a filter byte of 0 before each row
    for number in range(count):
        kind = f"class{number % CLASSES}"
        place = folder / kind / f"{kind}_{number // A_FOLDER:04d}"
        if number % A_FOLDER < CLASSES:
            place.mkdir(parents=True, exist_ok=True)
        noise[0, :4, 0] = [number >> shift & 255 for shift in (0, 8, 16, 24)]
        rows[:, 1:] = noise.reshape(side, -1)
        pixels = chunk(b"IDAT", zlib.compress(rows.tobytes(), 0))
        (place / f"{number}.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")
        )


def chunk(kind, content):
    """A part of a PNG file, with its length and checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def held_mb():
    """Memory of this process that is its own (mapped pages of files not counted), and the most."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = int(fields["RssAnon"].split()[0]) / 1024
    return round(own), round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=16)
    asked = parser.parse_args()
    rows = []

    def note(step, started):
        own, most = held_mb()
        rows.append(
            {
                "images": asked.images,
                "step": step,
                "seconds": round(time.perf_counter() - started, 1),
                "own_mb": own,
                "most_mb": most,
            }
        )
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder, asked.images, asked.side)
        note("before", time.perf_counter())
        started = time.perf_counter()
        data = open_images(folder)
        note("scanned (as `data check` does)", started)
        started = time.perf_counter()
        images = CachedImages(data.splits["train"], asked.side, share=0.0, disk_share=0.5)
        note(f"decoded to {images.disk_bytes / 1e6:.0f} MB on the disk", started)
        for epoch in range(3):
            started = time.perf_counter()
            total = sum(len(x) for x, _ in DataLoader(images, 256, shuffle=True))
            assert total == len(images)
            note(f"pass {epoch}", started)
    write_results("many_images", rows, append=True)


if __name__ == "__main__":
    main()
