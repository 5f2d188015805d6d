"""Find what stands on a shelf by listing its folder, so that a new file needs no line elsewhere."""

import pkgutil
from collections.abc import Iterable
from importlib import import_module


def import_all(package: str, folder: Iterable[str]) -> list[str]:
    """Import every file and folder of a package, by letter, and return their names.

    A network registers its names when its file is imported.

    Args:
        package: its `__name__`.
        folder: its `__path__`.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(folder))
    for name in names:
        import_module(f"{package}.{name}")
    return names
