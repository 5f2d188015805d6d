"""convatlas: convolutional networks that fit.

Here: the public names, each imported when first used, so that `import convatlas` costs nothing.
Not here: any work; every name below lives in the room that the table says.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convatlas.atlas.card import describe
    from convatlas.atlas.listing import list_models
    from convatlas.cost import count
    from convatlas.models import register
    from convatlas.pipeline.fit import fit
    from convatlas.pipeline.resume import resume
    from convatlas.pipeline.run import Run, open_run
    from convatlas.pretrained.create import create_model
    from convatlas.search.budget import Budget

__version__ = "0.1.0"

_HOMES = {
    "Budget": "convatlas.search.budget",
    "Run": "convatlas.pipeline.run",
    "count": "convatlas.cost",
    "create_model": "convatlas.pretrained.create",
    "describe": "convatlas.atlas.card",
    "fit": "convatlas.pipeline.fit",
    "list_models": "convatlas.atlas.listing",
    "open_run": "convatlas.pipeline.run",
    "register": "convatlas.models",
    "resume": "convatlas.pipeline.resume",
}

__all__ = [
    "Budget",
    "Run",
    "__version__",
    "count",
    "create_model",
    "describe",
    "fit",
    "list_models",
    "open_run",
    "register",
    "resume",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'convatlas' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
