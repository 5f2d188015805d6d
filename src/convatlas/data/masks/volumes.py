"""Stacks as volumes: slices that follow each other are read, learned from and answered together.

The data stay a sequence of slices, so that splits, figures and pictures are those of slices; what
a network in three dimensions takes is put together here.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from convatlas.data.images.annotated import AnnotatedData, AnnotatedSplit
from convatlas.data.images.asked import Asked
from convatlas.data.images.image_data import FileStore
from convatlas.data.images.stored_reading import Reading
from convatlas.data.masks.kept_masks import KeptMasks, Pair
from convatlas.data.masks.mask_files import Mask, MaskKind
from convatlas.data.names import printable
from convatlas.data.slice_names import parse_slice
from convatlas.errors import DataError

DEPTH = "depth"  # among the facts of the data: slices of a usual volume


class VolumeStore(FileStore):
    """Slices of volumes: each is read as an image, networks take those that belong together."""


def as_volumes(data: AnnotatedData[Mask]) -> AnnotatedData[Mask]:
    """Return the data with their slices marked as those of volumes.

    Raises:
        DataError: an image is no slice of a stack.
    """
    splits = {}
    for name, split in data.splits.items():
        plain = next((file for file in split.files if parse_slice(file) is None), None)
        if plain is not None or not isinstance(split.store, FileStore):
            raise DataError(
                f"{printable(data.source)}: must hold stacks only to be read as volumes, got "
                f"{printable(plain)}"
            )
        order = sorted(range(len(split)), key=lambda i: _place(split.files[i]))
        store = split.store
        marked = VolumeStore(store.root, store.channels, store.reading, store.kept)
        splits[name] = replace(split.subset(order), store=marked)
    # Those that networks learn from; of data to judge by there are no others.
    usual = [splits["train"]] if "train" in splits else list(splits.values())
    depths = [len(v) for split in usual for v in volume_places(split.files, split.targets)]
    kind = MaskKind(data.kind.ignored if isinstance(data.kind, MaskKind) else ())
    kind.facts[DEPTH] = round(median(depths))
    return replace(data, splits=splits, kind=kind)


def _place(file: str) -> tuple[str, str, int]:
    part = parse_slice(file)
    return ("", file, 0) if part is None else (part.file, part.member, part.place)


def holds_volumes(split: AnnotatedSplit[Mask]) -> bool:
    """Return whether the images of a split are slices of volumes."""
    return isinstance(split.store, VolumeStore)


def volume_places(files: Sequence[str], targets: Sequence[Mask]) -> list[list[int]]:
    """Return the places of slices that follow each other in a stack, volume by volume.

    Slices of another size, or behind one that is missing, begin a volume.
    """
    volumes: list[list[int]] = []
    before: tuple | None = None
    for index, (file, target) in enumerate(zip(files, targets, strict=True)):
        stack, member, place = _place(file)
        if before != (stack, member, place - 1, target.size):
            volumes.append([])
        volumes[-1].append(index)
        before = (stack, member, place, target.size)
    return volumes


def read_volume(split: AnnotatedSplit[Mask], places: Sequence[int]) -> Tensor:
    """Read the slices at these places as one volume. Shape: uint8 (c, d, h, w)"""
    return torch.stack([split.read(place) for place in places], dim=1)


class Volumes:
    """The volumes of a split with their masks, as many as it has slices: each with its volume.

    Args:
        kept: the slices.
    """

    def __init__(self, kept: KeptMasks):
        self._kept = kept
        self.places = volume_places(kept.split.files, kept.split.targets)
        self._volume_of = {place: volume for volume in self.places for place in volume}
        self._last: tuple[int, Pair] | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, index: int) -> Pair:
        """Return the volume of a slice and its mask. Shape: uint8 (c, d, h, w), uint8 (d, h, w)"""
        volume = self._volume_of[index]
        if self._last is None or self._last[0] != volume[0]:
            pairs = [self._kept.read(place) for place in volume]
            images, masks = zip(*pairs, strict=True)
            self._last = volume[0], (torch.stack(images, dim=1), torch.stack(masks))
        return self._last[1]

    def firsts(self, count: int | None = None) -> list[int]:
        """Return a slice of each volume, of the first volumes that have `count` slices."""
        firsts, slices = [], 0
        for volume in self.places:
            if count is not None and slices >= count:
                break
            firsts.append(volume[0])
            slices += len(volume)
        return firsts


def read_asked(slices: Sequence[Asked], channels: int, reading: Reading) -> Tensor:
    """Read the slices of a stack. Shape: uint8 (c, d, h, w)

    Raises:
        DataError: a slice cannot be read, or has another size than the others.
    """
    images: list[Tensor] = []
    for each in slices:
        if each.error is not None:
            raise DataError(each.error)
        images.append(each.read(channels, reading))
        if images[-1].shape != images[0].shape:
            raise DataError(f"{each.name}: must have the size of the slices before it")
    return torch.stack(images, dim=1)
