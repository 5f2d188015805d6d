"""Answers of segmenters: images one by one, the slices of a volume together."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convatlas.data.images.annotated import AnnotatedSplit
from convatlas.data.images.asked import Asked, find_asked, slice_by_slice
from convatlas.data.masks.facts import MaskFacts
from convatlas.data.masks.mask_files import Mask, read_mask
from convatlas.data.masks.volumes import holds_volumes, read_asked, read_volume, volume_places
from convatlas.data.slice_names import slice_name
from convatlas.deploy.predictor import Predictor
from convatlas.deploy.segmenter import Segmented
from convatlas.errors import DataError
from convatlas.explain.masks.evaluation import MaskEvaluation
from convatlas.explain.masks.prediction import MaskPrediction
from convatlas.explain.masks.rand_score import rand_score
from convatlas.progress import Progress
from convatlas.tasks.images import MAX_ELEMENTS, height_width_channels, middle, sample_images
from convatlas.text import printable
from convatlas.train.mask_figures import count_pixels

KEPT_VOLUME = (32, 160, 160)  # voxels: a run folder keeps no larger volumes


def sample_masks(split: AnnotatedSplit[Mask], count: int) -> list[Tensor]:
    """Read some inputs for the predictor. Shape: uint8 (h, w, c) each, or (d, h, w, c)"""
    if not holds_volumes(split):
        return sample_images(split, count)
    volumes, held = [], 0
    for places in volume_places(split.files, split.targets)[:count]:
        volumes.append(height_width_channels(read_volume(split, places)))
        held += volumes[-1].numel()
        if held >= MAX_ELEMENTS:
            break
    return volumes


def small_input(item: Tensor) -> Tensor:
    """Cut the middle out of a large image or volume. Shape: uint8 (h, w, c) or (d, h, w, c)"""
    if item.ndim == 3:
        return middle(item)
    for axis, most in enumerate(KEPT_VOLUME):
        length = min(most, item.shape[axis])
        item = item.narrow(axis, (item.shape[axis] - length) // 2, length)
    return item.contiguous()


def evaluate_masks(
    predictor: Predictor,
    split: AnnotatedSplit[Mask],
    classes: Sequence[str],
    progress: Progress,
) -> MaskEvaluation:
    """Answer every image of a split; figures are those of images, or of slices of volumes.

    Raises:
        DataError: an answer is not a finite number.
    """
    bar = progress.bar("testing", len(split), unit="images")
    counts, rand = {}, {}
    together = _together(split)
    for places in together:
        found = _masks(predictor, split, places)
        for place, mask in zip(places, found, strict=True):
            truth = read_mask(split, place)
            counts[place] = count_pixels(mask, truth, len(classes))
            if len(classes) == 2:
                rand[place] = rand_score(mask, truth)
        bar.update(len(counts))
    bar.close()
    order = range(len(split))
    judged = MaskEvaluation(
        split.files,
        torch.stack([counts[place] for place in order]),
        classes,
        torch.tensor([rand[place] for place in order]) if rand else None,
    )
    shown: dict[int, Tensor] = {}
    for places in together:
        if telling := set(places) & set(judged.telling):
            found = _masks(predictor, split, places)
            shown |= {p: mask for p, mask in zip(places, found, strict=True) if p in telling}
    return replace(judged, shown=shown)


def _together(split: AnnotatedSplit[Mask]) -> list[list[int]]:
    """The places of what is answered together."""
    if holds_volumes(split):
        return volume_places(split.files, split.targets)
    return [[place] for place in range(len(split))]


def _masks(
    predictor: Predictor, split: AnnotatedSplit[Mask], places: Sequence[int]
) -> Sequence[Tensor]:
    """The masks of images that are answered together. Shape: each uint8 (h, w)"""
    if holds_volumes(split):
        answer = _answer(predictor, read_volume(split, places))
        masks: Sequence[Tensor] = answer.mask.unbind(0)
    else:
        answer = _answer(predictor, split.read(places[0]))
        masks = [answer.mask]
    if not bool(torch.isfinite(answer.probability).all()):
        file = printable(split.files[places[0]])
        raise DataError(f"the network's answer is not a finite number for {file}")
    return masks


def _answer(predictor: Predictor, image: Tensor) -> Segmented:
    """Shape: uint8 (c, h, w) or (c, d, h, w)"""
    return predictor.predict([height_width_channels(image)])[0]


def predict_masks(
    predictor: Callable[[], Any], asked: Any, facts: MaskFacts, progress: Progress
) -> tuple[int | None, Iterator[MaskPrediction]]:
    """Answer images, or stacks slice by slice; where a network takes volumes, stacks as a whole.

    Returns how many answers there will be, where that is known, and the answers.
    """
    groups = _groups(asked, facts, progress)
    listed = groups if isinstance(asked, Iterator) else list(groups)
    total = sum(map(len, listed)) if isinstance(listed, list) else None
    return total, (each for group in listed for each in _answer_group(predictor, group, facts))


def _groups(asked: Any, facts: MaskFacts, progress: Progress) -> Iterable[list[Asked]]:
    """What is answered together."""
    if facts.depth is None:
        return ([each] for each in slice_by_slice(find_asked(asked, progress)))
    if isinstance(asked, np.ndarray | Tensor) and asked.ndim in (3, 4):
        return [[Asked(slice_name("volume", i), value) for i, value in enumerate(asked)]]
    return (list(slice_by_slice([each])) for each in find_asked(asked, progress))


def _answer_group(
    predictor: Callable[[], Any], group: Sequence[Asked], facts: MaskFacts
) -> Iterator[MaskPrediction]:
    try:
        images = read_asked(group, facts.channels, facts.reading)
    except DataError as error:
        yield from (MaskPrediction(each.name, error=each.error or str(error)) for each in group)
        return
    # A volume (c, d, h, w), or an image alone.
    answer = _answer(predictor(), images if facts.depth is not None else images[:, 0])
    masks, probabilities = answer.mask, answer.probability
    if facts.depth is None:
        masks, probabilities = masks[None], probabilities[None]
    classes = tuple(facts.classes)
    for place, each in enumerate(group):
        if not bool(torch.isfinite(probabilities[place]).all()):
            reason = f"{each.name}: the network's answer is not a finite number"
            yield MaskPrediction(each.name, error=reason)
        else:
            yield MaskPrediction.of(
                each.name, masks[place], probabilities[place], images[:, place], classes
            )
