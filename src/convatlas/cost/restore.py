"""Remember the state of things that a forward pass could change, and put it back."""

import functools
import random
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.cost.reach import CACHED, GlobalName, is_followed, slots

PutBack = Callable[[], Any]
_UNSET = object()
MAX_COPIED_BYTES = 2**26  # numbers beyond this are data that a model holds, not its state


class Snapshot:
    """The state of many things at one moment.

    A network has thousands of dictionaries, so these are kept in flat lists: an object for each
    would make Python's garbage collector search all of memory.

    Args:
        things: what holds state; what they hold is not remembered with them.
        values: also remember the numbers inside tensors.
    """

    def __init__(self, things: Iterable[Any], *, values: bool = False):
        self._empty: list[dict[Any, Any]] = []
        self._dicts: list[dict[Any, Any]] = []
        self._keys: list[tuple[Any, ...]] = []
        self._values: list[tuple[Any, ...]] = []
        self._tensors: list[Tensor] = []
        self._learning: list[bool] = []
        self._other: list[PutBack] = []
        for each in things:
            if isinstance(each, dict):
                self._remember_dict(each)
            elif isinstance(each, Tensor):
                self._remember_tensor(each, values)
            else:
                self._other.extend(_remember(each))

    def _remember_dict(self, each: dict[Any, Any]) -> None:
        if not each:
            self._empty.append(each)
            return
        self._dicts.append(each)
        self._keys.append(tuple(_plain(each).keys(each)))
        self._values.append(tuple(_plain(each).values(each)))

    def _remember_tensor(self, each: Tensor, values: bool) -> None:
        if each.is_leaf:
            self._tensors.append(each)
            self._learning.append(each.requires_grad)
        if values and not each.is_meta and each.nbytes <= MAX_COPIED_BYTES:
            saved = each.detach().clone()
            self._other.append(functools.partial(_put_back_numbers, each, saved))

    def put_back(self) -> None:
        """Make everything as it was at that moment."""
        for each in self._empty:
            if each:
                _plain(each).clear(each)
        for each, keys, values in zip(self._dicts, self._keys, self._values, strict=True):
            if not _same(each, keys, values):
                _plain(each).clear(each)
                for key, value in zip(keys, values, strict=True):
                    _plain(each).__setitem__(each, key, value)
        for each, learning in zip(self._tensors, self._learning, strict=True):
            if each.requires_grad != learning:
                each.requires_grad_(learning)
        for put_back in self._other:
            put_back()


def _plain(held: dict[Any, Any]) -> Any:
    """Return the class whose methods reach a dictionary as it is, past any overriding subclass."""
    return OrderedDict if isinstance(held, OrderedDict) else dict


def _same(held: dict[Any, Any], keys: tuple[Any, ...], values: tuple[Any, ...]) -> bool:
    return (
        len(held) == len(keys)
        and all(map(is_, _plain(held).values(held), values))
        and all(map(is_, _plain(held).keys(held), keys))
    )


def _remember(each: Any) -> Iterator[PutBack]:
    if isinstance(each, nn.Module):
        yield functools.partial(_put_back_kind, each, type(each))
    elif isinstance(each, list | deque):
        yield _sequence(each)
    elif isinstance(each, set):
        yield functools.partial(_put_back_set, each, each.copy())
    elif isinstance(each, types.CellType):
        yield _cell(each)
    elif isinstance(each, GlobalName):
        value = each.names.get(each.name, _UNSET)
        yield functools.partial(_put_back_name, each.names, each.name, value)
    elif isinstance(each, CACHED):
        yield functools.partial(_forget_new, each, each.cache_info().misses)
    elif isinstance(each, type):
        yield _class(each)
    elif isinstance(each, torch.Generator):
        yield functools.partial(each.set_state, each.get_state())
    elif isinstance(each, random.Random):
        yield functools.partial(each.setstate, each.getstate())
    elif type(each).__module__.partition(".")[0] == "numpy":
        yield from _numpy(each)
    if is_followed(type(each)):
        for name in slots(each):
            yield functools.partial(_put_back_attribute, each, name, getattr(each, name))


def remember_chance() -> Iterator[PutBack]:
    """Yield what puts every global random generator back."""
    yield functools.partial(torch.set_rng_state, torch.get_rng_state())
    yield functools.partial(random.setstate, random.getstate())
    if numpy := sys.modules.get("numpy"):  # asked for nowhere: a model may use it or not
        yield functools.partial(numpy.random.set_state, numpy.random.get_state())
    if torch.cuda.is_initialized():
        yield functools.partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())


def _sequence(held: Any) -> PutBack:
    items = tuple(held)

    def put_back() -> None:
        if len(held) != len(items) or not all(map(is_, held, items)):
            held.clear()
            held.extend(items)

    return put_back


def _put_back_set(held: set[Any], items: set[Any]) -> None:
    if len(held) != len(items) or not held.issuperset(items):
        held.clear()
        held.update(items)


def _put_back_numbers(tensor: Tensor, numbers: Tensor) -> None:
    if not torch.equal(tensor, numbers):
        with torch.inference_mode(tensor.is_inference()), torch.no_grad():
            tensor.copy_(numbers)


def _cell(cell: types.CellType) -> PutBack:
    try:
        contents = cell.cell_contents
    except ValueError:
        contents = _UNSET

    def put_back() -> None:
        if contents is not _UNSET:
            cell.cell_contents = contents
        else:
            try:
                del cell.cell_contents
            except ValueError:
                return

    return put_back


def _put_back_name(names: dict[str, Any], name: str, value: Any) -> None:
    if value is _UNSET:
        names.pop(name, None)
    elif names.get(name, _UNSET) is not value:
        names[name] = value


def _put_back_attribute(each: Any, name: str, value: Any) -> None:
    if getattr(each, name, _UNSET) is not value:
        object.__setattr__(each, name, value)


def _put_back_kind(module: nn.Module, kind: type) -> None:
    if type(module) is not kind:
        module.__class__ = kind


def _forget_new(cached: Any, misses: int) -> None:
    """Forget what a cached function answered on shapes alone: it is no answer for a real call."""
    if cached.cache_info().misses != misses:
        cached.cache_clear()


def _class(kind: type) -> PutBack:
    held = dict(vars(kind))

    def put_back() -> None:
        now = vars(kind)
        for name in [name for name in now if name not in held]:
            delattr(kind, name)
        for name, value in held.items():
            if now.get(name, _UNSET) is not value:
                setattr(kind, name, value)

    return put_back


def _numpy(each: Any) -> Iterator[PutBack]:
    numpy = sys.modules["numpy"]
    if isinstance(each, numpy.ndarray):
        if each.flags.writeable and each.nbytes <= MAX_COPIED_BYTES:
            yield functools.partial(_put_back_array, each, each.copy())
    elif isinstance(each, numpy.random.Generator):
        state = each.bit_generator.state
        yield functools.partial(setattr, each.bit_generator, "state", state)
    elif isinstance(each, numpy.random.RandomState):
        yield functools.partial(each.set_state, each.get_state())


def _put_back_array(held: Any, numbers: Any) -> None:
    if held.dtype.hasobject or held.tobytes() != numbers.tobytes():
        held[...] = numbers
