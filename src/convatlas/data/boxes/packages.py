"""The libraries that read annotations: imported when used, named where they are missing."""

from types import ModuleType

from convatlas.data.packages import needed


def yaml() -> ModuleType:
    """Return the library that reads YAML.

    Raises:
        DataError: it is not installed.
    """
    return needed("yaml", "YOLO's YAML files", "pyyaml", "boxes")


def defused_xml() -> ModuleType:
    """Return the library that reads XML and refuses what would expand without end.

    Raises:
        DataError: it is not installed.
    """
    return needed("defusedxml.ElementTree", "Pascal VOC's XML files", "defusedxml", "boxes")
