"""The libraries that read annotations: imported when used, named where they are missing."""

from types import ModuleType

from convatlas.errors import DataError


def yaml() -> ModuleType:
    """Return the library that reads YAML.

    Raises:
        DataError: it is not installed.
    """
    try:
        import yaml as found
    except ImportError as error:
        raise _missing("YOLO's YAML files", "pyyaml") from error
    return found


def defused_xml() -> ModuleType:
    """Return the library that reads XML and refuses what would expand without end.

    Raises:
        DataError: it is not installed.
    """
    try:
        import defusedxml.ElementTree as found
    except ImportError as error:
        raise _missing("Pascal VOC's XML files", "defusedxml") from error
    return found


def _missing(what: str, name: str) -> DataError:
    return DataError(
        f"{what} are read with {name}, which is not installed: pip install 'convatlas[boxes]'"
    )
