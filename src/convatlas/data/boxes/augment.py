"""Random changes to training images together with their boxes, as torchvision transforms."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

LEVELS = ("none", "flip", "photo", "cells", "ssd")
MAX_ZOOM = 2.0  # times: of the ground that an image is laid on; SSD's 4 needs long training
MIN_BOX = 2.0  # pixels of a side: what a crop leaves less of is not to be found
Target = dict[str, Tensor]


def box_augmentation(level: str, channels: int, size: int, fill: int = 0) -> nn.Module | None:
    """Return a torchvision v2 transform of an image with its boxes; None for `none`.

    Args:
        level: `none`; `flip`: mirroring; `photo`: mirroring, slight changes of colour and scale;
            `cells`: the same, upside down too, where up and down mean nothing; `ssd`: zooming out,
            crops that keep a part of the objects, mirroring and colour, as SSD was trained, for
            long runs.
        size: side of the network's images in pixels.
        fill: what zooming out shows beyond the edge, 0..255.

    Raises:
        ValueError: no such level.
    """
    from torchvision.transforms import v2  # slow to import

    if level not in LEVELS:
        raise ValueError(f"augmentation: must be one of {', '.join(LEVELS)}, got {level!r}")
    if level == "none":
        return None
    mirror = v2.RandomHorizontalFlip()
    if level == "flip":
        return mirror
    colour = v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2 * (channels == 3))
    if level in ("photo", "cells"):
        move = v2.RandomAffine(degrees=(0, 0), translate=(0.1, 0.1), scale=(0.8, 1.2), fill=fill)
        mirrors = [mirror, v2.RandomVerticalFlip()] if level == "cells" else [mirror]
        return v2.Compose([move, *mirrors, colour, v2.SanitizeBoundingBoxes(min_size=MIN_BOX)])
    return v2.Compose(
        [
            v2.RandomZoomOut(fill=fill, side_range=(1.0, MAX_ZOOM)),
            v2.RandomIoUCrop(),
            v2.Resize((size, size), antialias=True),
            mirror,
            colour,
            v2.SanitizeBoundingBoxes(min_size=MIN_BOX),
        ]
    )


def augment_boxes(transform: nn.Module | None) -> Callable[..., tuple[Tensor, list[Target]]]:
    """Return what changes a batch, each image by its own draw, and its boxes with it.

    Shape: uint8 (n, c, size, size) and n targets -> the same
    """
    from torchvision import tv_tensors

    corners = tv_tensors.BoundingBoxFormat.XYXY

    def change(images: Tensor, targets: list[Target]) -> tuple[Tensor, list[Target]]:
        if transform is None:
            return images, targets
        changed, found = [], []
        for image, target in zip(images, targets, strict=True):
            sides = (image.shape[-2], image.shape[-1])
            boxes = tv_tensors.BoundingBoxes(target["boxes"], format=corners, canvas_size=sides)  # pyright: ignore[reportCallIssue]  as documented
            image, got = transform(image, {"boxes": boxes, "labels": target["labels"]})
            changed.append(image)
            found.append({"boxes": got["boxes"].as_subclass(Tensor), "labels": got["labels"]})
        return torch.stack(changed), found

    return change
