"""Sphinx extension: formulas as MathML in the page itself, which browsers show without a script."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

UNREAD = re.compile(r"\\[A-Za-z]+")  # a command that the converter does not know is left as text
logger = logging.getLogger(__name__)


def mathml(latex: str, *, block: bool) -> str:
    """A formula in LaTeX as a `<math>` element.

    Raises:
        ValueError: the formula, or a command in it, cannot be read.
    """
    try:
        element = convert(latex, display="block" if block else "inline")
    except Exception as error:  # the converter has a dozen kinds, some of them bare
        raise ValueError(f"cannot read the formula {latex!r}: {error!r}") from error
    if unread := UNREAD.findall(element):
        raise ValueError(f"cannot read {', '.join(unread)} in the formula {latex!r}")
    return element


def setup(app: Sphinx) -> dict[str, bool]:
    """Make this the renderer `mathml`, which `html_math_renderer` names."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_shown(translator, node, block=False))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(_shown(translator, node, block=True) + "</div>\n")
    raise nodes.SkipNode


def _shown(translator: HTML5Translator, node: nodes.Element, *, block: bool) -> str:
    try:
        return mathml(node.astext(), block=block)
    except ValueError as error:
        logger.warning("%s", error, location=node)
        return translator.encode(node.astext())
