"""Names of networks: what can be built, by which class, with which options."""

import inspect
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import nn

from convatlas.errors import UnknownNameError, UsageError, nearest
from convatlas.models.dilation import set_output_stride
from convatlas.models.features import feature_maps
from convatlas.models.headless import num_features, reset_classifier

CUSTOM = "custom"  # the task of a network that was registered without one: it may be any


@dataclass(frozen=True)
class Entry:
    """One registered name: a class and the options that make the variant."""

    name: str
    cls: type[nn.Module]
    options: Mapping[str, Any]
    module: str = ""  # that registered it: its paper may build on a class of another paper's
    task: str = CUSTOM  # what it is for, as it was declared

    @property
    def ours(self) -> bool:
        """Whether it is a network of the atlas, not a user's own."""
        return self.cls.__module__.startswith("convatlas.models.")

    @property
    def defaults(self) -> dict[str, Any]:
        """Every option that the class takes, with the value this name builds."""
        signature = inspect.signature(self.cls).parameters.values()
        return {p.name: p.default for p in signature} | dict(self.options)

    def build(self, **options: Any) -> nn.Module:
        """Build the network, with `options` over those of the name.

        It has `.num_features`, the length of what its last layer reads, where there is one such
        layer; `num_classes=0` leaves that layer out.

        Raises:
            UsageError: an option that the class does not take, or a value that no network has.
        """
        for option in options:
            if option not in self.defaults:
                raise UsageError(
                    f"create_model: {self.name} has no option '{option}'"
                    f"{nearest(option, self.defaults)}; it takes {', '.join(self.defaults)}"
                )
        _check_values(options)
        headless = options.get("num_classes") == 0
        model = self.cls(**{**self.options, **options, **({"num_classes": 1} if headless else {})})
        features = num_features(model)
        if features is not None and not hasattr(model, "num_features"):
            model.num_features = features  # pyright: ignore[reportArgumentType]  a number
        if headless:
            reset_classifier(model, 0)
        return model


def _check_values(options: Mapping[str, Any]) -> None:
    """Refuse sizes that would only fail deep inside a layer, or build a network of nothing."""
    for option, least in (("in_channels", 1), ("num_classes", 0)):
        value = options.get(option, 1)
        if type(value) is not int or value < least:
            raise UsageError(
                f"create_model: {option} must be a whole number from {least} up, got {value!r}"
            )
    width = options.get("width", 1.0)
    if type(width) not in (int, float) or not 0 < width < math.inf:
        raise UsageError(f"create_model: width must be a number above 0, got {width!r}")


_entries: dict[str, Entry] = {}


def register(name: str, cls: type[nn.Module], task: str | None = None, /, **options: Any) -> None:
    """Make `create_model(name)` build `cls(**options)`.

    With a task (`"classify"`) a network of your own competes in `fit` as those of the atlas do:
    `register("my_net", MyNet, "classify")`. It must take `num_classes` and `in_channels`; with
    `width` it is tried at several widths. Without one it has the task that its class is already
    registered for, or none (`"custom"`).

    The class gets the method `reset_classifier` if it has none; it works where the last layer is
    called `classifier`, or is the last one in what is called so.

    Raises:
        ValueError: the name is taken by something else.
        TypeError: the class has no `example`, without which it cannot be counted and listed.
    """
    if not hasattr(cls, "example"):
        raise TypeError(f"register: {cls.__qualname__} must have a method example(batch=1)")
    module = sys._getframe(1).f_globals.get("__name__", "")  # as collections.namedtuple finds it
    task = task or next((e.task for e in _entries.values() if e.cls is cls), CUSTOM)
    entry = Entry(name, cls, MappingProxyType(options), module, task)
    if name in _entries and _entries[name].cls.__qualname__ != cls.__qualname__:
        raise ValueError(f"register: '{name}' is taken by {_entries[name].cls.__qualname__}")
    _entries[name] = entry
    if not hasattr(cls, "reset_classifier"):
        cls.reset_classifier = reset_classifier  # pyright: ignore[reportAttributeAccessIssue]


def model_names() -> list[str]:
    """List each registered name, in the order of the files."""
    return list(_entries)


def find_entry(name: str) -> Entry:
    """Return the entry of a name.

    Raises:
        UnknownNameError: nothing is registered under it.
    """
    if name not in _entries:
        raise UnknownNameError(f"no model '{name}'{nearest(name, _entries)}")
    return _entries[name]


def create_model(
    name: str, *, features_only: bool = False, output_stride: int | None = None, **options: Any
) -> nn.Module:
    """Build a registered network with fresh weights; `convatlas.create_model` also has public ones.

    Args:
        name: as `list_models` gives it.
        features_only: return the maps of each stage, coarsest last, instead of logits; the
            network then has `.feature_channels` and `.feature_strides`.
        output_stride: 8 or 16 keeps the coarsest maps at that share of the image, with dilation
            in place of the strides beyond it and the same weights; for detectors and segmenters.
        options: over those of the name, e.g. `num_classes=10, in_channels=1, width=0.5`;
            `num_classes=0` leaves out the last layer, so that the network returns the pooled
            features, `.num_features` an image. `.reset_classifier(n)` gives it a new one.

    Raises:
        UnknownNameError: no such name.
        UsageError: no such option, or no features or stages where they are asked for.
    """
    model = find_entry(name).build(**options)
    if output_stride is not None:
        set_output_stride(model, output_stride, name)
    return feature_maps(model, name) if features_only else model
