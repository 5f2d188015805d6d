"""Everything that can be seen of an object, for a comparison before and after.

Written apart from what the library uses to remember a model: it follows every attribute of every
object, also those of torch and the standard library.
"""

import types
from collections.abc import Mapping

import pytest
import torch

ATOMS = (int, float, complex, str, bytes, type(None), torch.dtype, torch.device, type)
PASSED_OVER = (types.ModuleType, types.BuiltinFunctionType, types.GeneratorType)


def fingerprint(root):
    """A mapping from the way to each thing to what it is, numbers of tensors included."""
    found, seen, waiting = {}, {}, [("", root)]
    while waiting:
        way, each = waiting.pop()
        if isinstance(each, ATOMS):
            found[way] = repr(each)
        elif isinstance(each, torch.Tensor):
            found[way] = _of_tensor(each)
        elif id(each) in seen or isinstance(each, PASSED_OVER):
            found[way] = ("again", id(each))
        else:
            seen[id(each)] = each
            inner = list(_inside(each))
            found[way] = (type(each), id(each), [name for name, _ in inner])
            waiting += [(way + name, value) for name, value in inner]
    return found


@pytest.fixture
def assert_unchanged():
    """Use a model and hold everything that can be seen of it against what it was before."""

    def check(model, use):
        before, chance = fingerprint(model), torch.get_rng_state()
        use(model)
        after = fingerprint(model)
        changed = {way: (before.get(way), now) for way, now in after.items()}
        assert {way: both for way, both in changed.items() if both[0] != both[1]} == {}
        assert before.keys() == after.keys()
        assert torch.equal(chance, torch.get_rng_state())

    return check


def _of_tensor(tensor):
    numbers = None
    if not tensor.is_meta and tensor.layout is torch.strided:
        plain = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        # By their bits: what is not a number is equal to itself here.
        numbers = plain.detach().contiguous().view(-1).view(torch.uint8).long().sum().item()
    kind = (type(tensor), id(tensor), str(tensor.device), tensor.dtype, tuple(tensor.shape))
    return (*kind, tensor.requires_grad, numbers)


def _inside(each):
    if isinstance(each, Mapping):
        for number, (key, value) in enumerate(each.items()):
            yield f"[{key!r}]" if isinstance(key, str | int) else f"[key {number}]", value
    elif isinstance(each, list | tuple) or type(each).__name__ == "deque":
        yield from ((f"[{number}]", value) for number, value in enumerate(each))
    elif isinstance(each, set | frozenset):
        yield "{}", str(sorted(map(id, each)))
    elif isinstance(each, types.FunctionType):
        for name, cell in zip(each.__code__.co_freevars, each.__closure__ or (), strict=True):
            yield f"<{name}>", cell.cell_contents
        yield "<defaults>", each.__defaults__
    elif isinstance(each, types.MethodType):
        yield from ((".self", each.__self__), (".func", each.__func__))
    yield from ((f".{name}", value) for name, value in getattr(each, "__dict__", {}).items())
