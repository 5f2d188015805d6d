"""The look that all parts of the report share: one template environment with the same filters."""

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from convatlas.text import format_number, printable


@lru_cache(maxsize=1)
def environment() -> Any:
    """Return the jinja2 environment: its macros are `macros.html.j2`, everything is escaped."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: packaged("convatlas.tasks.sections", name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"format_number": format_number, "printable": printable}
    return made


def render(template: str, values: Mapping[str, Any]) -> Markup:
    """Return a part of the page from a template of this room."""
    return Markup(environment().get_template(template).render(values))


def packaged(package: str, name: str) -> str:
    """Return a text file that lies in a package."""
    return (resources.files(package) / name).read_text(encoding="utf-8")
