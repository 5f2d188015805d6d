"""Everything that a model's forward pass could change: what is reached from it, each thing once.

Followed are modules, containers, closures, hooks, objects of the user's own classes, and from their
methods the global names, class attributes and caches that these use. Not followed are objects of
the standard library, torch and this package: they belong to more than the model.
"""

import dis
import functools
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

ATOMS = frozenset(
    {int, float, complex, bool, str, bytes, type(None), type(...), range, slice}
    | {torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size, types.ModuleType}
)
FOREIGN = sys.stdlib_module_names | {"torch", "numpy", "convatlas"}
HOLDERS = {"collections", "types", "weakref"}  # of the standard library, made to hold other things
CONTAINERS = (list, tuple, set, frozenset, deque)
TENSORS = frozenset({torch.Tensor, nn.Parameter})
DICTIONARIES = frozenset({dict, OrderedDict})
PLAIN = (dict, OrderedDict, defaultdict, *CONTAINERS)  # without attributes of their own
CACHED = functools._lru_cache_wrapper
NOT_RUN = {"__init__", "__new__", "__init_subclass__", "__class_getitem__"}  # by a forward pass


@dataclass(frozen=True, eq=False)
class GlobalName:
    """A name that a function sets in the module that holds it; it may not be there yet."""

    names: dict[str, Any]
    name: str


def reachable(roots: Iterable[Any]) -> Iterator[Any]:
    """Yield each object, the roots included; plain values are left out."""
    seen: dict[int, Any] = {}  # holding an object keeps its id from being used again
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen[id(each)] = each
        yield each
        if type(each) in DICTIONARIES:
            for held in each.values():
                if type(held) in DICTIONARIES and not held:  # every module has a dozen of them
                    yield held
                elif type(held) not in ATOMS:
                    waiting.append(held)
            waiting.extend([key for key in each if type(key) is not str])
        elif type(each) not in TENSORS:
            waiting.extend([held for held in _inside(each) if type(held) not in ATOMS])


@functools.lru_cache(maxsize=4096)
def is_followed(kind: type) -> bool:
    """Return whether objects of this class are the user's own, whose attributes are followed."""
    if kind in PLAIN or issubclass(kind, type | types.FunctionType | torch.Tensor):
        return False
    module = getattr(kind, "__module__", None) or ""
    return issubclass(kind, nn.Module) or module in HOLDERS or _is_users(module)


def attributes(each: Any) -> dict[str, Any] | None:
    """Return an object's attributes, asked of the object itself and not of its class."""
    try:
        return object.__getattribute__(each, "__dict__")
    except AttributeError:
        return None


def slots(each: Any) -> Iterator[str]:
    """Return the names of attributes that are held outside the dictionary and are set."""
    return (name for name in _slots_of(type(each)) if hasattr(each, name))


@functools.lru_cache(maxsize=4096)
def _slots_of(kind: type) -> tuple[str, ...]:
    own = [vars(base) for base in kind.__mro__ if "__slots__" in vars(base)]
    found = ((n, held) for each in own for n, held in each.items())
    return tuple(name for name, held in found if isinstance(held, types.MemberDescriptorType))


def _is_users(module: str) -> bool:
    return module.partition(".")[0] not in FOREIGN


def _inside(each: Any) -> Iterable[Any]:
    if isinstance(each, dict):
        yield from dict.values(each)
        yield from (key for key in dict.keys(each) if type(key) is not str)
    elif isinstance(each, CONTAINERS):
        yield from each
    elif isinstance(each, types.FunctionType):
        yield from _of_function(each)
    elif isinstance(each, types.CellType):
        yield from _contents(each)
    elif isinstance(each, types.MethodType):
        yield from (each.__self__, each.__func__)
    elif isinstance(each, functools.partial):
        yield from (each.func, each.args, each.keywords)
    elif isinstance(each, staticmethod | classmethod | CACHED):
        yield each.__wrapped__
    elif isinstance(each, property):
        yield from (each.fget, each.fset)
    elif isinstance(each, type):
        yield from (value for name, value in vars(each).items() if name not in NOT_RUN)
    if is_followed(type(each)):
        yield from _of_object(each)


def _of_object(each: Any) -> Iterator[Any]:
    yield attributes(each)
    yield from (getattr(each, name) for name in slots(each))
    yield from _own_classes(type(each))


@functools.lru_cache(maxsize=4096)
def _own_classes(kind: type) -> tuple[type, ...]:
    return tuple(each for each in kind.__mro__ if _is_users(each.__module__))


def _of_function(function: types.FunctionType) -> Iterator[Any]:
    yield from function.__closure__ or ()
    yield function.__defaults__
    yield function.__kwdefaults__
    yield vars(function) or None
    if _is_users(function.__globals__.get("__name__", "")):
        yield from _globals_of(function)


def _globals_of(function: types.FunctionType) -> Iterator[Any]:
    names, places = _names(function.__code__), function.__globals__
    yield from (GlobalName(places, name) for name in _set_names(function.__code__))
    found = {name: places[name] for name in names if name in places}
    for value in found.values():
        if isinstance(value, types.ModuleType):
            if _is_users(value.__name__):
                held = vars(value)
                yield from (held[other] for other in names if other in held and _tells(held[other]))
        elif _tells(value):
            yield value


def _tells(value: Any) -> bool:
    """Return whether the value is state: classes and functions of others are not."""
    if isinstance(value, type | types.ModuleType):
        return False
    return not isinstance(value, types.FunctionType) or _is_users(value.__module__ or "")


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[str, ...]:
    """Return global names and attributes that a function uses, inner functions included."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return tuple(dict.fromkeys([*code.co_names, *(n for each in inner for n in _names(each))]))


@functools.lru_cache(maxsize=4096)
def _set_names(code: types.CodeType) -> tuple[str, ...]:
    """Return global names that a function sets, by `global NAME`."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    own = (step.argval for step in dis.get_instructions(code) if step.opname == "STORE_GLOBAL")
    return (*own, *(name for each in inner for name in _set_names(each)))


def _contents(cell: types.CellType) -> Iterator[Any]:
    try:
        yield cell.cell_contents
    except ValueError:  # not set yet
        return
