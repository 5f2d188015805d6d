"""What our own operators are in ONNX, and four of torch's; the exporter knows the others."""

from collections.abc import Callable, Mapping
from typing import Any

import torch


def translations() -> Mapping[Any, Callable[..., Any]]:
    """Return, by torch operator, the function that writes its ONNX form."""
    # Imported for its operator, which an exported program may hold without the network's class.
    import convatlas.models.detect.select_boxes  # noqa: F401

    return {
        torch.ops.convatlas.kept_boxes.default: _kept_boxes(),
        # For these alone most programs would be traced a second time: see `lean_exporter`.
        torch.ops.aten.rsub.Scalar: _number_minus_tensor(),
        torch.ops.aten.to.dtype: _as_type(),
        torch.ops.aten.square.default: _square(),
        torch.ops.aten.batch_norm.default: _batch_norm(),
    }


def _number_minus_tensor() -> Callable[..., Any]:
    import onnxscript

    op: Any = onnxscript.opset18

    def rsub(x: Any, number: float, alpha: float = 1.0) -> Any:
        """Write `number - alpha * x`. Shape: x (…) -> (…)"""
        scaled = x if alpha == 1 else op.Mul(x, op.CastLike(op.Constant(value_float=alpha), x))
        return op.Sub(op.CastLike(op.Constant(value_float=number), x), scaled)

    return rsub


def _as_type() -> Callable[..., Any]:
    import onnxscript

    op: Any = onnxscript.opset18

    def to(
        x: Any, dtype: int, non_blocking: bool = False, copy: bool = False, memory_format: str = ""
    ) -> Any:
        """Write `x.to(dtype)`; a file knows no copies. Shape: x (…) -> (…)"""
        return op.Cast(x, to=dtype)

    return to


def _square() -> Callable[..., Any]:
    import onnxscript

    op: Any = onnxscript.opset18

    def square(x: Any) -> Any:
        """Write `x * x`. Shape: x (…) -> (…)"""
        return op.Mul(x, x)

    return square


def _batch_norm() -> Callable[..., Any]:
    import onnxscript

    op: Any = onnxscript.opset18

    def batch_norm(
        x: Any,
        weight: Any | None,
        bias: Any | None,
        mean: Any | None,
        variance: Any | None,
        training: bool,
        momentum: float,
        eps: float,
        cudnn_enabled: bool,
    ) -> Any:
        """Write a batch norm that no convolution took in, by what it learned or by its batch.

        Shape: x (n, c, …), the others (c,) -> (n, c, …)
        """
        if training or mean is None:
            channels = op.Reshape(x, op.Constant(value_ints=[0, 0, -1]))
            axes = op.Constant(value_ints=[0, 2])
            mean = op.ReduceMean(channels, axes, keepdims=0)
            centred = op.Sub(channels, op.Unsqueeze(mean, op.Constant(value_ints=[1])))
            variance = op.ReduceMean(op.Mul(centred, centred), axes, keepdims=0)
        if weight is None:
            one = op.CastLike(op.Constant(value_float=1.0), mean)
            weight = op.Expand(one, op.Shape(mean))
        if bias is None:
            bias = op.Sub(mean, mean)
        return op.BatchNormalization(x, weight, bias, mean, variance, epsilon=eps)

    return batch_norm


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
