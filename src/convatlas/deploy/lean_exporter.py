"""Torch's ONNX exporter without the work whose result is known, up to half of its time."""

import contextlib
import copy
import functools
import threading
from collections.abc import Callable, Container, Iterator
from typing import Any
from unittest import mock

from torch._ops import OperatorBase, OpOverload
from torch.export import ExportedProgram

# Checks of a trace, which the exporter leaves out itself.
CHECKS = ("aten::_assert_scalar", "aten::_assert_tensor_metadata", "aten::_assert_async.msg")

_changing = threading.RLock()  # two threads would restore each other's changes
_active: list[None] = []  # holds one entry while torch's exporter is changed


@contextlib.contextmanager
def lean_exporter() -> Iterator[None]:
    """Let `torch.onnx.export` read its operators once, and decompose only what it must.

    The exporter parses its table of ONNX operators anew from their Python sources for every file.
    And it traces each program a second time, to decompose operators that have no ONNX form and to
    take out changes in place; most programs have neither. Where a version of torch has no such
    table, its exporter works as it does by itself.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_changing)
        if _active:  # twice would decide by the operators of an earlier file
            yield
            return
        _active.append(None)
        stack.callback(_active.pop)
        with contextlib.suppress(ImportError, AttributeError):
            registry, read = _reader()
            tables: list[Any] = []
            decompose = _where_needed(ExportedProgram.run_decompositions, tables)
            changes = (
                mock.patch.object(registry, "from_torchlib", _copies(read, tables)),
                mock.patch.object(ExportedProgram, "run_decompositions", decompose),
            )
            for change in changes:
                stack.enter_context(change)
        yield


def is_decomposed(
    program: ExportedProgram, decomposed: Container[Any], has_form: Callable[[Any], bool]
) -> bool:
    """Return whether each operator has an ONNX form and none changes a tensor in place.

    Args:
        decomposed: operators that are to be written as others.
        has_form: whether an operator has an ONNX form.
    """
    signature = program.graph_signature
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        return False
    nodes = program.graph_module.graph.nodes
    if any(node.op not in ("placeholder", "call_function", "output") for node in nodes):
        return False  # branches and loops are modules of their own
    called = {node.target for node in nodes if node.op == "call_function"}
    # What is none of torch's operators is arithmetic on lengths, in plain Python functions.
    return all(
        isinstance(each, OpOverload)
        and each not in decomposed
        and not each._schema.is_mutable
        and has_form(each)
        for each in called
        if isinstance(each, OperatorBase) and each.name() not in CHECKS
    )


def _where_needed(decompose: Callable[..., Any], tables: list[Any]) -> Callable[..., Any]:
    """Wrap `ExportedProgram.run_decompositions`. `tables`: of operators, the current one last."""

    @functools.wraps(decompose)
    def run(program: ExportedProgram, decomp_table: Any = None, **options: Any) -> ExportedProgram:
        known = tables[-1].is_registered if tables else (lambda operator: False)
        if decomp_table is not None and is_decomposed(program, decomp_table, known):
            return program
        return decompose(program, decomp_table, **options)

    return run


@functools.cache
def _reader() -> tuple[Any, Callable[..., Any]]:
    """Return the exporter's class of operator tables, and what reads one once."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    return ONNXRegistry, functools.cache(ONNXRegistry.from_torchlib)


def _copies(read: Callable[..., Any], tables: list[Any]) -> Any:
    """Return what gives each file a table of its own, for it may add operators to it."""

    def copied(*version: Any, **named: Any) -> Any:
        table = copy.copy(read(*version, **named))
        table.functions = {name: list(forms) for name, forms in table.functions.items()}
        tables.append(table)
        return table

    return staticmethod(copied)
