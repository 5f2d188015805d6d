"""Networks with each kind of block and fewer of each: torch exports and compiles block by block.

A layer's size does not change how long that takes, so width is left as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from convatlas.models.classify import (
    bn_inception,
    densenet,
    densenet_elastic,
    fractal_of_fractalnet,
    peleenet,
)
from convatlas.models.example import tiny_build

VALUES = int | float | bool | str | tuple | None
COUNTS = ("in_channels", "out_channels", "num_features", "num_channels", "in_features")
COUNTS += ("out_features", "normalized_shape")


@contextmanager
def short_tables() -> Iterator[None]:
    """Build networks whose blocks all have channels of their own with fewer rows in their tables.

    Each layer of a dense block has other channels than the one before, as have most modules of an
    Inception network, and the blocks of fractals.
    """
    stem, middle, last = bn_inception.layout(96)
    rows = (stem[:1], middle[:2], last[:1] + last[2:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(densenet.FORMS, 121, (32, (2, 2, 2, 2)))
        patch.setattr(peleenet, "STAGES", tuple((2, c) for _, c in peleenet.STAGES))
        elastic = tiny_build(64, layers=(2, 2, 2, 2), width=0.125)
        patch.setattr(densenet_elastic.ElasticDenseNet, "tiny", elastic)
        patch.setattr(bn_inception, "layout", lambda _: rows)
        patch.setattr(fractal_of_fractalnet, "COLUMNS", 2)
        yield


def structure(module: nn.Module) -> list[tuple]:
    """Everything in which two modules can differ, except the values of their weights."""
    return [
        (
            (name, type(part)),
            {k: v for k, v in vars(part).items() if k[0] != "_" and isinstance(v, VALUES)},
            {k: v.shape for k, v in (part._parameters | part._buffers).items() if v is not None},
        )
        for name, part in module.named_modules()
    ]


def kind(module: nn.Module) -> list[tuple]:
    """What `structure` says, but how many channels there are."""
    found = []
    for place, values, shapes in structure(module):
        groups = values.get("groups", 1)
        if groups > 1:
            each = groups == values.get("in_channels")
            values = values | {"groups": "each channel" if each else "some channels"}
        values = {k: v for k, v in values.items() if k not in COUNTS}
        found.append((place, values, {k: shape[2:] for k, shape in shapes.items()}))
    return found


def drop_repeats(model: nn.Module) -> None:
    """Keep one of each run of blocks, or of pairs of blocks, that have the same structure."""
    for sequence in model.modules():
        if not isinstance(sequence, nn.Sequential) or len(sequence) < 2:
            continue
        kept: list[tuple[nn.Module, list[tuple]]] = []
        for block in sequence:
            kept.append((block, structure(block)))
            for period in (1, 2):
                last, before = kept[-period:], kept[-2 * period : -period]
                blocks = all(next(block.children(), None) is not None for block, _ in last)
                if blocks and [s for _, s in last] == [s for _, s in before]:
                    del kept[-period:]
        _keep(sequence, [block for block, _ in kept])


def drop_alike(model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Keep one of each kind of block that gives the shape that it takes, wherever it stands.

    A module that has blocks in it (a branch, a stage) keeps them if it is the first of its class.
    """
    preserving: set[nn.Module] = set()

    def look(module: nn.Module, args: tuple, output: object) -> None:
        shapes = [x.shape for x in (*args, output) if isinstance(x, Tensor)]
        if len(args) == 1 and len(shapes) == 2 and shapes[0] == shapes[1]:
            preserving.add(module)

    hooks = [module.register_forward_hook(look) for module in model.modules()]
    with torch.no_grad():
        model.eval()(*inputs)
    model.train()
    for hook in hooks:
        hook.remove()
    known: list[list[tuple]] = []
    begun: set[type[nn.Module]] = set()

    def visit(module: nn.Module, may_drop: bool) -> None:
        if type(module) is nn.Sequential:
            kept = []
            for block in module:
                if next(block.children(), None) is not None:
                    found = kind(block)
                    if may_drop and block in preserving and found in known:
                        continue
                    known.append(found)
                kept.append(block)
            _keep(module, kept)
        elif not isinstance(module, nn.ModuleList):
            may_drop = module is model or type(module) in begun
            begun.add(type(module))
        for part in module.children():
            visit(part, may_drop)

    visit(model, True)


def _keep(sequence: nn.Sequential, blocks: list[nn.Module]) -> None:
    """Leave only these in a sequence."""
    if len(blocks) < len(sequence):
        del sequence[len(blocks) :]
        for place, block in enumerate(blocks):
            sequence[place] = block


def layer_kinds(model: nn.Module) -> set:
    """Classes with those of their parts, and layers with all but their channels."""
    found = set()
    for module in model.modules():
        parts = tuple(type(part) for part in module.children())
        if not parts:
            ((_, values, shapes),) = kind(module)
            parts = (*sorted(values.items(), key=str), *sorted(shapes.items()))
        if not isinstance(module, nn.Sequential | nn.ModuleList):
            found.add((type(module), *parts))
    return found
