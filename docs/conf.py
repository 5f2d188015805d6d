"""Sphinx: the pages by hand beside the ones that are built from the code and the claims."""

import sys
from pathlib import Path

import convatlas

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generate import write_generated  # noqa: E402  needs the path above

write_generated(HERE / "reference")

project = "convatlas"
author = "The convatlas team"
release = convatlas.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "mathml",
]
html_math_renderer = "mathml"  # the default fetches a script at every visit
exclude_patterns = ["_build", "families"]  # the words of a family stand in its generated page
html_theme = "furo"
html_title = "convatlas"
html_static_path = ["reference/static", "sounds"]
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config"}  # pydantic's own
# "Shape", "Cost" and the like are headings of ours, set as paragraphs of their own.
napoleon_custom_sections = ["Shape", "Cost", "Source", "Differs", "Claims"]
suppress_warnings = ["config.cache"]
