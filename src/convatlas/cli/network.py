"""A network as the command line names it, built for the input that was asked for."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from convatlas.cli.options import parse_options
from convatlas.errors import ConvatlasError, UsageError, short_of_memory
from convatlas.text import shape_text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from convatlas.models.registry import Entry

T = TypeVar("T")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Named:
    """A built network, its example inputs and the options that it was built with."""

    name: str
    options: Mapping[str, Any]
    model: "nn.Module"
    examples: "tuple[Tensor, ...]"

    @property
    def input(self) -> list[Any]:
        """The size of one input without the batch; a list of sizes where there are several."""
        shapes = [list(x.shape[1:]) for x in self.examples]
        return shapes[0] if len(shapes) == 1 else shapes

    def try_input(self, use: "Callable[[nn.Module, tuple[Tensor, ...]], T]") -> T:
        """Call `use(model, examples)`; what the network cannot take becomes a usage error.

        Raises:
            UsageError: the network refuses the input.
        """
        try:
            return use(self.model, self.examples)
        except ConvatlasError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise UsageError(
                f"{self.name} cannot take {shape_text(self.input)} with "
                f"{options_text(self.options)}: {first_line(error)}"
            ) from error


def build_named(
    name: str,
    texts: Sequence[str],
    input: Shape | None,
    *,
    batch: int = 1,
    shapes_only: bool = False,
) -> Named:
    """Build the network of `NAME option=value ... --input CxHxW`, in evaluation mode.

    Args:
        texts: `option=value` each.
        input: the size of one input; None means the published size.
        shapes_only: weights and inputs take no memory.

    Raises:
        UnknownNameError: no such network.
        UsageError: an option or input that it does not take.
    """
    from convatlas.models.on_shapes import on_shapes
    from convatlas.models.registry import find_entry

    entry = find_entry(name)
    options = follow_input(entry, parse_options(entry, texts), input)
    place: AbstractContextManager[Any] = on_shapes() if shapes_only else nullcontext()
    with place:
        try:
            model = entry.build(**options).eval()
        except ConvatlasError:
            raise
        except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
            raise UsageError(
                f"{name} cannot be built with {options_text(options)}: {first_line(error)}"
            ) from error
        if input is None:
            examples = model.example(batch)  # pyright: ignore[reportCallIssue]  every network has it
        else:
            examples = (_like(name, model.example(1), (batch, *input)),)  # pyright: ignore[reportCallIssue]
    return Named(name, options, model, examples)


def follow_input(entry: "Entry", options: dict[str, Any], input: Shape | None) -> dict[str, Any]:
    """Add what the input's size decides and the user left open: channels, and a fixed size."""
    if input is None:
        return options
    followed: dict[str, Any] = {}
    if "in_channels" in entry.defaults:
        followed["in_channels"] = input[0]
    if "size" in entry.defaults and len(input) == 3:
        followed["size"] = input[1:]
    return followed | options


def options_text(options: Mapping[str, Any]) -> str:
    """Write options as they are typed: `width=0.5 num_classes=10`."""
    return " ".join(f"{key}={value}" for key, value in options.items()) or "no options"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its kind where there is none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _like(name: str, examples: "tuple[Tensor, ...]", shape: Shape) -> "Tensor":
    """An input of another shape and the same dtype as the network's example."""
    import torch

    if len(examples) != 1:
        raise UsageError(f"{name} takes {len(examples)} inputs, so --input cannot set one size")
    dtype = examples[0].dtype
    try:
        make = torch.rand if dtype.is_floating_point else torch.zeros
        return make(shape, dtype=dtype)
    except RuntimeError as error:
        if short_of_memory(error):
            raise
        raise UsageError(
            f"{name} cannot take {shape_text(shape[1:])}: {first_line(error)}"
        ) from error
