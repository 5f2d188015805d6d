"""The libraries that read sounds: imported when used, named where they are missing."""

from types import ModuleType

from convatlas.data.packages import needed


def soundfile() -> ModuleType:
    """Return the library that decodes sound files.

    Raises:
        DataError: it is not installed.
    """
    return needed("soundfile", "sounds", "soundfile", "audio")


def soxr() -> ModuleType:
    """Return the library that resamples.

    Raises:
        DataError: it is not installed.
    """
    return needed("soxr", "sounds", "soxr", "audio")
