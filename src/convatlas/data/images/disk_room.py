"""Room on the disk for decoded images that do not fit into memory."""

import os
import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor

MOUNTS = Path("/proc/mounts")
IN_MEMORY = ("tmpfs", "ramfs")  # file systems whose files take memory


def disk_tensor(shape: tuple[int, ...], share: float) -> Tensor | None:
    """Return a tensor that lies in a temporary file, if it takes no more than a share of the room.

    The file has no name any more when this returns, so that its room is free once the tensor is,
    also after the process was killed. Its pages are memory that the system takes back at need.

    Args:
        share: of the free room in the temporary folder (TMPDIR).

    Shape: uint8 of that shape
    """
    size = torch.Size(shape).numel()
    folder = tempfile.gettempdir()
    try:
        room = shutil.disk_usage(folder).free
        if os.name != "posix" or size > share * room or file_system(folder) in IN_MEMORY:
            return None
        handle, name = tempfile.mkstemp(prefix="convatlas-decoded-", dir=folder)
    except OSError:
        return None
    try:
        os.posix_fallocate(handle, 0, size)  # now, and not as a crash when a page is written
        return torch.from_file(name, shared=True, size=size, dtype=torch.uint8).reshape(shape)
    except (OSError, AttributeError, RuntimeError):
        return None
    finally:
        os.close(handle)
        os.unlink(name)


def file_system(folder: str) -> str:
    """Return the kind of file system that a folder lies in; empty where the system does not say."""
    found = ("", "")
    place = os.path.realpath(folder)
    try:
        rows = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return ""
    for _, mount, kind, *_ in rows:
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]
