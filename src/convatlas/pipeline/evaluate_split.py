"""Asking a classifier about the images of a split, read at their original sizes."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from convatlas.data import Split
from convatlas.errors import DataError
from convatlas.explain.evaluation import Evaluation
from convatlas.progress import Progress, Silent
from convatlas.text import printable

AT_ONCE = 256  # images held in memory at their original size
PIXELS_AT_ONCE = 1 << 27
PROOF_IMAGES = 1000  # that an export is proved on


class Classifier(Protocol):
    """An `ImageClassifier` or an `OnnxFile`."""

    def predict(self, images: Sequence[Tensor]) -> Tensor: ...


def answer(
    classifier: Classifier,
    split: Split,
    *,
    progress: Progress | None = None,
    title: str = "testing",
) -> Evaluation:
    """Read every image at its original size and ask the classifier."""
    bar = (progress or Silent()).bar(title, len(split), unit="images")
    parts: list[Tensor] = []
    images: list[Tensor] = []
    for index in range(len(split)):
        images.append(height_width_channels(split.read(index)))
        held = sum(image.numel() for image in images)
        if len(images) == AT_ONCE or held >= PIXELS_AT_ONCE or index == len(split) - 1:
            parts.append(classifier.predict(images))
            images = []
            bar.update(index + 1)
    bar.close()
    answers = torch.cat(parts)
    odd = (~torch.isfinite(answers)).any(dim=1).nonzero().flatten().tolist()
    if odd:
        raise DataError(
            f"the network's answer is no number for {len(odd)} of {len(split)} images, "
            f"such as {printable(split.files[odd[0]])}"
        )
    return Evaluation(torch.tensor(split.labels), answers, split.files)


def sample_images(split: Split, count: int = PROOF_IMAGES) -> list[Tensor]:
    """Evenly spaced images of a split, fewer where they are large. Shape: uint8 (h, w, c)"""
    places = (
        [i * len(split) // count for i in range(count)] if len(split) > count else range(len(split))
    )
    images, held = [], 0
    for place in places:
        images.append(height_width_channels(split.read(place)))
        held += images[-1].numel()
        if held >= PIXELS_AT_ONCE:
            break
    return images


def height_width_channels(image: Tensor) -> Tensor:
    """From torch's order to that of image libraries. Shape: (c, h, w) -> (h, w, c)"""
    return image.permute(1, 2, 0).contiguous()
