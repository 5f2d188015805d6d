"""What the tests of detectors share: a few images of squares, learned by heart."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from convatlas.models.detect.detector import Detector

# Share of the image's side: where a square begins (x, y) and how long its side is.
SQUARES = (
    ((0.1, 0.15, 0.25), (0.55, 0.5, 0.4)),
    ((0.4, 0.1, 0.5), (0.1, 0.65, 0.25)),
    ((0.2, 0.2, 0.6),),
    ((0.6, 0.55, 0.3), (0.05, 0.05, 0.35)),
)


def squares(size: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Images with squares of one colour a class on grey noise, and where they are."""
    generator = torch.Generator().manual_seed(0)
    images = 0.1 * torch.randn(len(SQUARES), 3, size, size, generator=generator)
    targets = []
    for n, found in enumerate(SQUARES):
        boxes = torch.tensor([[x, y, x + side, y + side] for x, y, side in found]) * size
        labels = torch.tensor([(n + k) % 3 for k in range(len(found))])
        for (x1, y1, x2, y2), label in zip(boxes.round().int().tolist(), labels, strict=True):
            images[n, label, y1:y2, x1:x2] += 2
        targets.append({"boxes": boxes, "labels": labels})
    return images, targets


@pytest.fixture
def boxes_learned_by_heart() -> Callable[..., None]:
    """Train on four images until the loss is small, and find each object again."""

    def run(model: Detector, *, size: int, steps: int, rate: float = 3e-3) -> None:
        torch.manual_seed(0)
        images, targets = squares(size)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        totals = []
        for _ in range(steps):
            optimizer.zero_grad()
            total = sum(model.train().losses(images, targets).values())
            assert isinstance(total, Tensor)
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
            optimizer.step()
            totals.append(total.item())
        assert totals[-1] < 0.3 * totals[0], totals
        with torch.no_grad():
            for module in model.modules():  # the statistics of these images
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
            model.train()(images)
            found = model.eval().detect(images)
        for target, boxes, scores, labels in zip(targets, *found, strict=True):
            kept = scores > 0
            overlaps = box_iou(target["boxes"], boxes[kept])
            right = target["labels"][:, None] == labels[kept][None]
            assert ((overlaps > 0.5) & right).any(1).all(), (target, boxes[:4], scores[:4])

    return run
