"""How well one image is given back, as it is shown and written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from convatlas.errors import DataError
from convatlas.explain.file_stem import file_stem
from convatlas.explain.pictures import to_pil
from convatlas.replacing import replacing
from convatlas.text import printable

COLUMNS = ("file", "MSE", "PSNR")
CSV_COLUMNS = ("mean squared error", "psnr_db")


@dataclass(frozen=True)
class Reconstruction:
    """The answer for one image; `error` says why there is none.

    Args:
        file: its path, or `image 3` for the third one in memory.
        mse: mean squared error of the values, which lie from 0 to 1; a large one marks an image
            unlike those that the network learned from.
        latent: the numbers that the image is written as.
        image: what is given back. Shape: uint8 (h, w, channels)
    """

    file: str
    mse: float | None = None
    latent: Sequence[float] | None = None
    error: str | None = None
    image: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def psnr_db(self) -> float | None:
        """The peak signal-to-noise ratio in decibels; infinite without any error."""
        if self.mse is None:
            return None
        return -10 * math.log10(self.mse) if self.mse else math.inf

    @property
    def stem(self) -> str:
        """What the answer's file is called after."""
        return file_stem(self.file)

    def paths(self, folder: Path, stem: str | None = None) -> list[Path]:
        """Return the file that `save` writes."""
        return [folder / f"{stem or self.stem}-reconstruction.png"]

    def save(self, folder: str | Path, stem: str | None = None) -> list[Path]:
        """Write the image that the network gave back.

        Args:
            stem: how the name begins; that of the file where not given.

        Raises:
            DataError: there is none.
            WriteError: it cannot be written.
        """
        if self.image is None:
            raise DataError(f"{self.file}: has no reconstruction to write ({self.error})")
        Path(folder).mkdir(parents=True, exist_ok=True)
        (path,) = self.paths(Path(folder), stem)
        with replacing(path) as fresh:
            to_pil(self.image.permute(2, 0, 1)).save(fresh, "PNG")
        return [path]

    def cells(self, top: int) -> list[str]:
        """Return error and peak signal-to-noise ratio."""
        if self.mse is None:
            return ["", ""]
        return [f"{self.mse:.6g}", f"{self.psnr_db:.4f}"]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return one row."""
        if self.mse is None:
            return [(printable(self.file), None, None)]
        return [(printable(self.file), f"{self.mse:.4g}", f"{self.psnr_db:.2f} dB")]
