"""A predictor as an ONNX program, through torch's dynamo exporter, with nothing else in it."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch.onnx.errors import OnnxExporterError

from convatlas.deploy.fold_norm import fold
from convatlas.deploy.lean_exporter import lean_exporter
from convatlas.deploy.onnx_operators import translations
from convatlas.deploy.predictor import Predictor
from convatlas.errors import ExportError

if TYPE_CHECKING:
    import onnx

LOUD = ("torch.onnx", "torch.export", "torch._guards", "onnxscript", "onnx_ir")


def to_onnx(predictor: Predictor) -> "onnx.ModelProto":
    """Keep the axes free that the predictor says; fold normalisation into the convolutions.

    The predictor is not changed. Its own example is what the program is traced with: an axis of
    length 0 or 1 would be taken for a constant, and equal lengths for one and the same axis.

    Raises:
        ExportError: an operator has no ONNX form, or a free axis was fixed by the network.
    """
    model = copy.deepcopy(predictor).cpu().eval()
    fold(model.network)  # the exporter would do it, after three traces of twice the graph
    # Names alone: the exporter finds the lengths that a network takes, where these are not all.
    free = tuple(dict(axes) for axes in predictor.inputs.values())
    name = type(predictor.network).__name__
    try:
        with quiet(), torch.no_grad(), lean_exporter():
            program = torch.onnx.export(
                model,
                predictor.example(),
                dynamo=True,
                dynamic_shapes=free,
                input_names=list(predictor.inputs),
                output_names=list(predictor.outputs),
                external_data=False,
                custom_translation_table=dict(translations()),
                verbose=False,
            )
    except OnnxExporterError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise ExportError(f"{name}: has no ONNX form: {cause}") from error
    assert program is not None  # with dynamo=True: a program, or an error
    _check_free(predictor, program.model_proto, name)
    return _bare(program.model_proto)


def _check_free(predictor: Predictor, model: "onnx.ModelProto", name: str) -> None:
    """The exporter fixes an axis in silence where the network's code asks for its length."""
    found = {each.name: each.type.tensor_type.shape.dim for each in model.graph.input}
    for given, axes in predictor.inputs.items():
        fixed = [axis for place, axis in axes.items() if not found[given][place].dim_param]
        if fixed:
            raise ExportError(
                f"{name}: has no ONNX form: it fixes {', '.join(fixed)} of "
                f"({', '.join(axes.values())})"
            )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporter's progress lines, warnings and logs, which are about torch."""
    levels = {name: logging.getLogger(name).level for name in LOUD}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in LOUD:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def _bare(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Without the exporter's notes: they hold source paths and outweigh a small network."""
    graph = model.graph
    functions = [node for function in model.functions for node in function.node]
    for part in [*graph.node, *functions, *graph.input, *graph.output, *graph.initializer]:
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    del model.metadata_props[:]
    graph.doc_string = model.doc_string = ""
    return model
