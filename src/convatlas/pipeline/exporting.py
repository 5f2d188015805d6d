"""The export of a run: written, compared with the network on real inputs, its size foretold."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from convatlas.cost.latency import limited_threads
from convatlas.deploy.onnx_file import export_onnx
from convatlas.deploy.parity import Parity, check_parity
from convatlas.deploy.predictor import Item, Predictor
from convatlas.errors import UsageError
from convatlas.pipeline.config import FILE_NAMES, RunConfig
from convatlas.replacing import replacing
from convatlas.search.space import Candidate
from convatlas.tasks.task import AnyTask
from convatlas.text import printable

OURS = "convatlas"  # the note that tells an export of ours, with the version that wrote it


def export_proved(
    predictor: Predictor, config: RunConfig, path: Path, sample: Sequence[Item]
) -> Parity:
    """Write an ONNX file and prove it on real inputs before it takes its name.

    An older file of that name stays until the new one is proved.

    Raises:
        ExportError: the network has no ONNX form, or the file answers differently.
        WriteError: the file cannot be written.
    """
    notes = {"model": config.model, OURS: config.version, "created": config.created}
    # More threads than the network is fastest with wait for each other, on a busy machine for
    # minutes: in torch as in ONNX Runtime.
    with limited_threads(min(config.threads, torch.get_num_threads())), replacing(path) as fresh:
        export_onnx(predictor, fresh, metadata=notes)
        return check_parity(predictor, fresh, sample, name=path)


def check_target(path: Path, own: Path, *, of_the_run: bool = False) -> None:
    """Refuse to write an export over anything but an earlier export.

    Args:
        own: the run's own export; that of another run belongs to its proof.
        of_the_run: the run wrote this file itself, so that it may be replaced though damaged.

    Raises:
        UsageError: the path is a folder, or holds what no export of ours wrote.
    """
    place = f"export: --out {printable(path)}"
    try:
        if path.is_dir():
            raise UsageError(f"{place}: is a folder; name a file in it")
        if not path.parent.is_dir():
            raise UsageError(f"{place}: there is no folder {printable(path.parent)}")
        of_a_run = path.name in FILE_NAMES.values() and path.resolve() != own.resolve()
        if of_a_run and (path.parent / FILE_NAMES["config"]).exists():
            raise UsageError(f"{place}: would replace a file of the run; choose another name")
        if os.path.lexists(path) and not (of_the_run or _exported_here(path)):
            raise UsageError(
                f"{place}: exists and was not exported by convatlas; choose another name"
            )
    except OSError as error:  # a name that is too long, say
        raise UsageError(f"{place}: cannot be used: {error.strerror}") from error


def _exported_here(path: Path) -> bool:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        stored = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError):
        return False
    return any(note.key == OURS for note in stored.metadata_props)


def exported_bytes(task: AnyTask, candidate: Candidate, facts: Mapping[str, Any]) -> int:
    """Return the size that the file will have, which no value of a weight changes."""
    predictor = task.predictor(
        candidate.build().eval(), task.settings(candidate, facts), facts
    ).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(predictor, path, metadata={})
        return path.stat().st_size
