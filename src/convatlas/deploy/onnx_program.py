"""A classifier as an ONNX program, through torch's dynamo exporter, with nothing else in it."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch.export import Dim
from torch.onnx.errors import OnnxExporterError

from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.fold_norm import fold_norm
from convatlas.deploy.proof import ExportError

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "image", "probabilities"
FREE = {0: Dim("n"), 1: Dim("h"), 2: Dim("w")}
LOUD = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def to_onnx(classifier: ImageClassifier, *, example_size: tuple[int, int]) -> "onnx.ModelProto":
    """Batch, height and width stay free; batch normalisation is folded into the convolutions.

    The classifier is not changed.

    Args:
        example_size: height and width that the program is traced with.

    Raises:
        ExportError: an operator has no ONNX form, or a free size was fixed by the network.
    """
    model = copy.deepcopy(classifier).cpu().eval()
    fold_norm(model.network)  # the exporter would do it, after three traces of twice the graph
    # 0 and 1 would be taken for constants, and equal sides for one and the same side.
    height, width = max(2, example_size[0]), max(2, example_size[1])
    width += height == width
    example = torch.zeros(2, height, width, model.preprocess.channels, dtype=torch.uint8)
    name = type(classifier.network).__name__
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                dynamic_shapes=(FREE,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                external_data=False,
                verbose=False,
            )
    except OnnxExporterError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise ExportError(f"{name}: has no ONNX form: {cause}") from error
    assert program is not None  # with dynamo=True: a program, or an error
    sides = program.model_proto.graph.input[0].type.tensor_type.shape.dim
    # The exporter fixes a side in silence where the network's code asks for its value.
    fixed = [FREE[i].__name__ for i in FREE if not sides[i].dim_param]
    if fixed:
        raise ExportError(f"{name}: has no ONNX form: it fixes {', '.join(fixed)} of (n, h, w)")
    return _bare(program.model_proto)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter's progress lines, warnings and logs are about torch, not about the user."""
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
