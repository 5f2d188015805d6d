"""The steps of one block of a network, watched while it runs on shapes alone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves

from convatlas.models import create_model
from convatlas.text import shape_text

# What a call is named in a drawing, by its name in torch; any other goes by that name.
WORDS = {
    "cat": "concat",
    "mul": "multiply",
    "imul": "multiply",
    "iadd": "add",
    "radd": "add",
    "truediv": "divide",
    "matmul": "matrix product",
    "relu": "ReLU",
    "hardtanh": "ReLU6",
    "relu6": "ReLU6",
    "leaky relu": "leaky ReLU",
    "silu": "swish",
    "hardswish": "h-swish",
    "hardsigmoid": "h-sigmoid",
    "adaptive avg pool2d": "average of the map",
    "mean": "average",
    "local response norm": "response norm",
    "transpose": "reorder",
    "permute": "reorder",
    "group norm": "norm over channels and time",
    "prelu": "PReLU",
}
# Steps that stand in the box of the step before them.
FOLLOWERS = ("ReLU", "ReLU6", "leaky ReLU", "swish", "h-swish", "h-sigmoid", "sigmoid", "tanh")
FOLLOWERS += ("batch norm", "response norm", "softmax", "PReLU", "elu")
FOLLOWERS += ("norm over channels and time",)
# Calls that compute nothing: a line runs through them.
SILENT = ("dropout", "contiguous", "view", "reshape", "flatten", "getitem", "clone")
SILENT += (
    "detach",
    "unflatten",
    "unsqueeze",
    "squeeze",
    "expand",
    "type as",
    "to",
    "float",
    "tensor split",
    "as tensor",
    "pad",
    "chunk",
    "narrow",
    "rsqrt",
)


@dataclass
class Box:
    """One step of the drawing: what it does in one line each, its output shape, what it reads."""

    lines: list[str]
    shape: tuple[int, ...]
    reads: list[int] = field(default_factory=list)


def block_graph(name: str, path: str, options: Mapping[str, int] | None = None) -> list[Box]:
    """The steps of `path` inside the registered network `name`, at its published size.

    A normalisation or activation that alone reads a step stands in that step's box. The first
    boxes are the inputs; every other box reads boxes before it.

    Raises:
        AttributeError: the network has no such path.
    """
    with torch.device("meta"):
        model = create_model(name, **(options or {})).eval()
        block = model.get_submodule(path)
        watch = _Watch()
        before = block.register_forward_pre_hook(lambda _, args: watch.begin(args))
        after = block.register_forward_hook(lambda *_: watch.end())
        with torch.no_grad(), watch:
            model(*model.example())
        before.remove()
        after.remove()
    return _merge(watch.boxes)


class _Watch(TorchFunctionMode):
    """Notes every call on tensors between `begin` and `end` of the block's first run."""

    def __init__(self):
        super().__init__()
        self.boxes: list[Box] = []
        self._watching = False
        self._of: dict[int, int] = {}
        self._alive: list[Tensor] = []  # so that no id is given out twice

    def begin(self, args: tuple[Any, ...]) -> None:
        if self.boxes:
            return
        self._watching = True
        for tensor in _tensors(args):
            self._note([tensor], len(self.boxes))
            self.boxes.append(Box(["input"], tuple(tensor.shape)))

    def end(self) -> None:
        self._watching = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._watching and (made := _tensors(result)):
            sources = [self._of[id(t)] for t in _tensors((args, kwargs)) if id(t) in self._of]
            reads = list(dict.fromkeys(sources))
            words = _words(func, args, dict(kwargs or {}))
            if words and reads:
                self._note(made, len(self.boxes))
                self.boxes.append(Box([words], tuple(made[0].shape), reads))
            elif reads:
                self._note(made, reads[0])
        return result

    def _note(self, tensors: list[Tensor], box: int) -> None:
        self._alive += tensors
        self._of.update({id(tensor): box for tensor in tensors})


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _words(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """What a call does, or nothing where it only passes on."""
    path = resolve_name(func) or getattr(func, "__name__", str(func))
    name = path.rsplit(".", 1)[-1].strip("_").replace("_", " ")
    if name in SILENT or "__get__" in path:
        return ""
    if name in ("conv1d", "conv2d"):
        x, weight, _, stride = _given(("input", "weight", "bias", "stride"), args, options)
        return _conv_words(x, weight, stride)
    if "pool2d" in name and "adaptive" not in name:
        _, kernel, stride = _given(("input", "kernel_size", "stride"), args, options)
        kind = "max" if name.startswith("max") else "average"
        return f"{kind} pool {_side(kernel)}{_stride(stride or kernel)}"
    if name == "linear":
        weight = args[1]
        return f"linear {weight.shape[1]} → {weight.shape[0]}"
    return WORDS.get(name, name)


def _given(names: tuple[str, ...], args: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Any]:
    """Arguments by name, wherever they stood in the call."""
    for index, name in enumerate(names):
        yield args[index] if index < len(args) else options.get(name)


def _conv_words(x: Tensor, weight: Tensor, stride: int | tuple[int, ...] | None) -> str:
    groups = x.shape[1] // weight.shape[1]
    window = shape_text(weight.shape[2:])
    if groups == x.shape[1] > 1:
        return f"{window} depthwise, {weight.shape[0]}{_stride(stride)}"
    several = f", {groups} groups" if groups > 1 else ""
    return f"{window} conv, {x.shape[1]} → {weight.shape[0]}{several}{_stride(stride)}"


def _side(size: int | tuple[int, ...]) -> str:
    return f"{size}x{size}" if isinstance(size, int) else shape_text(size)


def _stride(stride: int | tuple[int, ...] | None) -> str:
    largest = stride if isinstance(stride, int) else max(stride or (1,))
    return f", stride {largest}" if largest > 1 else ""


def _merge(boxes: list[Box]) -> list[Box]:
    """Put a norm or an activation into the box that it alone reads."""
    readers = [sum(index in box.reads for box in boxes) for index in range(len(boxes))]
    merged: list[Box] = []
    place: list[int] = []
    for box in boxes:
        source = box.reads[0] if len(box.reads) == 1 else None
        if source is not None and _follows(box, boxes[source]) and readers[source] == 1:
            place.append(place[source])
            merged[place[source]].lines += box.lines
            merged[place[source]].shape = box.shape
        else:
            place.append(len(merged))
            reads = list(dict.fromkeys(place[read] for read in box.reads))
            merged.append(Box(list(box.lines), box.shape, reads))
    return merged


def _follows(box: Box, source: Box) -> bool:
    return box.lines[-1] in FOLLOWERS and source.lines != ["input"]


def shape_words(shape: tuple[int, ...]) -> str:
    """`64 x 56 x 56` of a batch's shape."""
    return " x ".join(map(str, shape[1:]))
