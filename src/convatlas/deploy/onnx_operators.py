"""What our own operators are in ONNX; the exporter reads everything else off torch itself."""

from collections.abc import Callable, Mapping
from typing import Any

import torch


def translations() -> Mapping[Any, Callable[..., Any]]:
    """Return, by torch operator, the function that writes its ONNX form."""
    # Imported for its operator, which an exported program may hold without the network's class.
    import convatlas.models.detect.select_boxes  # noqa: F401

    return {torch.ops.convatlas.kept_boxes.default: _kept_boxes()}


def _kept_boxes() -> Callable[..., Any]:
    import onnxscript

    op: Any = onnxscript.opset18  # whose declared types know no values that are still to come

    def kept_boxes(boxes: Any, scores: Any, iou_threshold: float, score_threshold: float) -> Any:
        """Write `convatlas::kept_boxes`: the boxes that are not suppressed, as a mask.

        Shape: boxes (n, c, 4), scores (n, c) -> bool (n, c)
        """
        most = op.Constant(value_ints=[2**31 - 1])  # boxes of an item: as many as there are
        iou = op.Constant(value_floats=[iou_threshold])
        score = op.Constant(value_floats=[score_threshold])
        one_class = op.Unsqueeze(scores, op.Constant(value_ints=[1]))
        # Rows of item, class and place of a box.
        chosen = op.NonMaxSuppression(boxes, one_class, most, iou, score)
        places = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)
        kept = op.CastLike(op.Shape(op.Gather(places, op.Constant(value_int=0), axis=1)), most)
        none = op.ConstantOfShape(op.Shape(scores))
        marks = op.Expand(op.Constant(value_floats=[1.0]), kept)
        return op.Cast(op.ScatterND(none, places, marks), to=9)  # 9: bool

    return kept_boxes
