"""The images of the trials at the sizes of their networks: decoded once for each, then kept."""

from dataclasses import replace

from convatlas.data import (
    CachedImages,
    ImageData,
    Preprocess,
    Resize,
    choose_augmentation,
)
from convatlas.progress import Progress
from convatlas.search.space import Candidate

# A random crop of a photograph is cut from a larger picture, so that it need not be blown up.
CROP_MARGIN = 1.25


class TrialImages:
    """Training and validation images of a data set, by size and kind of resizing.

    Args:
        level: of augmentation, as a recipe names it; `auto` decides by the data.
    """

    def __init__(self, data: ImageData, level: str, progress: Progress):
        self.data, self.progress = data, progress
        self.level = choose_augmentation(data) if level == "auto" else level
        self._caches: dict[tuple[str, int, Resize], CachedImages] = {}
        self._statistics: Preprocess | None = None

    def preprocess(self, candidate: Candidate) -> Preprocess:
        """As public weights expect; else mean and deviation, which hardly depend on the size."""
        channels, size = self.data.channels, candidate.size
        if candidate.checkpoint is not None:
            return candidate.checkpoint.preprocess(channels, size)
        if self._statistics is None:
            self._statistics = Preprocess.fit(self.data.splits["train"], channels, size)
        mean, std = (t.flatten().tolist() for t in (self._statistics.mean, self._statistics.std))
        return Preprocess(channels, size, mean, std)

    def forget_sizes(self, kept: set[int]) -> None:
        """Free the images at sizes that no trial needs any more."""
        wanted = {self._train_size(size) for size in kept} | kept
        self._caches = {key: c for key, c in self._caches.items() if key[1] in wanted}

    def train(self, preprocess: Preprocess) -> CachedImages:
        """Training images; larger than the network where random crops are cut from them."""
        how = preprocess.resize
        if self.level == "photo" and how.crop is not None:
            how = replace(how, crop=1.0)  # the random crop does the cutting
        return self._images("train", self._train_size(preprocess.size), how)

    def is_read(self, preprocess: Preprocess) -> bool:
        """Whether the images are there already."""
        how = preprocess.resize
        return ("val", preprocess.size, how) in self._caches

    def validation(self, preprocess: Preprocess) -> CachedImages:
        """Validation images as the network takes them."""
        return self._images("val", preprocess.size, preprocess.resize)

    def _images(self, split: str, size: int, how: Resize) -> CachedImages:
        if (split, size, how) not in self._caches:
            images = self.data.splits[split]
            bar = self.progress.bar(f"reading {split} at {size} px", len(images), unit="images")
            kept = CachedImages(images, size, how=how, progress=bar.update)
            self._caches[split, size, how] = kept
            bar.close()
        return self._caches[split, size, how]

    def _train_size(self, size: int) -> int:
        return round(size * CROP_MARGIN) if self.level == "photo" else size
