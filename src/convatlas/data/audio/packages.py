"""The libraries that read sounds: imported when used, named where they are missing."""

from types import ModuleType

from convatlas.errors import DataError


def soundfile() -> ModuleType:
    """Return the library that decodes sound files.

    Raises:
        DataError: it is not installed.
    """
    try:
        import soundfile as found
    except (ImportError, OSError) as error:  # OSError: without the library that it wraps
        raise _missing("soundfile") from error
    return found


def soxr() -> ModuleType:
    """Return the library that resamples.

    Raises:
        DataError: it is not installed.
    """
    try:
        import soxr as found
    except ImportError as error:
        raise _missing("soxr") from error
    return found


def _missing(name: str) -> DataError:
    return DataError(
        f"sounds are read with {name}, which is not installed: pip install 'convatlas[audio]'"
    )
