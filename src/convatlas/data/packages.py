"""Libraries that some data need: imported when used, named where they are missing."""

from importlib import import_module
from types import ModuleType

from convatlas.errors import DataError


def needed(module: str, what: str, package: str, extra: str) -> ModuleType:
    """Return a library that is not installed with everything else.

    Args:
        what: needs it, for the message.
        package: its name for pip.
        extra: of convatlas that installs it.

    Raises:
        DataError: it is not installed.
    """
    try:
        return import_module(module)
    except (ImportError, OSError) as error:  # OSError: without the library that it wraps
        raise DataError(
            f"{what} need {package}, which is not installed: pip install 'convatlas[{extra}]'"
        ) from error
