"""Scaled attention as in SliceNet: each target position takes a weighted mean of the source.

Source: Kaiser, Gomez, Chollet, 2017, arXiv:1706.03059, section 3; the scale stands inside the
    softmax as in the authors' released code, where the paper prints it outside.
"""

import torch
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced


def attend(
    source: Tensor,
    target: Tensor,
    *,
    present: Tensor | None = None,
    scale_outside: bool = False,
) -> Tensor:
    """Compute softmax(target source^T / sqrt(depth)) source.

    Args:
        present: false where the source is padding, which no target reads.
        scale_outside: softmax(target source^T) source / sqrt(depth), as the paper prints it.

    Shape:
        source   (n, m, depth)
        target   (n, l, depth)
        present  (n, m), boolean
        returns  (n, l, depth)

    Cost: 2 * l * m * depth multiply-adds an item.

    Raises:
        UsageError: depths or batches that differ, or a mask of another shape.
    """
    if not is_traced(source):
        _check_shapes(source, target, present)
    scale = source.shape[2] ** -0.5
    scores = torch.bmm(target, source.transpose(1, 2))
    if not scale_outside:
        scores = scores * scale
    if present is not None:
        scores = scores.masked_fill(~present[:, None], float("-inf"))
    attended = torch.bmm(scores.softmax(2), source)
    return attended * scale if scale_outside else attended


def _check_shapes(source: Tensor, target: Tensor, present: Tensor | None) -> None:
    if source.dim() != 3 or target.dim() != 3 or source.shape[::2] != target.shape[::2]:
        raise UsageError(
            f"attend: source (n, m, depth) and target (n, l, depth) must have one n and depth, "
            f"got {tuple(source.shape)} and {tuple(target.shape)}"
        )
    if present is not None and present.shape != source.shape[:2]:
        raise UsageError(
            f"attend: present must be {tuple(source.shape[:2])}, got {tuple(present.shape)}"
        )
