"""How many channels the images of a data set have: one number, or two files that differ."""

from collections.abc import Sequence

from convatlas.data.images.many_channels import COLOUR
from convatlas.data.images.scan import FileFacts
from convatlas.data.names import printable
from convatlas.errors import DataError


def common_channels(source: str, facts: Sequence[FileFacts]) -> int:
    """Return the channels of all images; 3 where some of usual images are in colour, others grey.

    Args:
        source: of the images, for the message.

    Raises:
        DataError: some have another number of channels than others; names two files.
    """
    one = next((fact for fact in facts if fact.channels is not None), None)
    if one is None or one.channels is None:
        return 1 if all(fact.grey for fact in facts) else 3
    other = next((fact for fact in facts if fact.channels != one.channels), None)
    if other is not None:
        raise DataError(
            f"{source}: all images must have the same number of channels, got {_named(one)} and "
            f"{_named(other)}"
        )
    return one.channels


def check_channels(source: str, facts: Sequence[FileFacts], channels: int, known: int) -> None:
    """Refuse images that have other channels than those of a run; grey and colour may meet.

    Args:
        channels: of the images, from `common_channels`.
        known: channels of the run.

    Raises:
        DataError: they differ; names a file.
    """
    if channels != known and not {channels, known} <= set(COLOUR):
        raise DataError(
            f"{source}: images must have {known} channels, as those of the run, "
            f"got {_named(facts[0])}"
        )


def channel_notes(channels: int) -> list[str]:
    """Say what images of other channels than grey or colour mean for what follows."""
    if channels in COLOUR:
        return []
    shown = "the first three" if channels >= COLOUR[-1] else "the first one"
    return [
        f"the images have {channels} channels, all of which are used; pictures of them show "
        f"{shown}, and public weights, made for colour, are not used"
    ]


def _named(fact: FileFacts) -> str:
    count = fact.channels or (COLOUR[0] if fact.grey else COLOUR[-1])
    return f"{count} in {printable(fact.file)}"
