"""How Sphinx builds these pages; `make docs` turns every warning into an error."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import _generate  # noqa: E402  # the folder of this file is on the path only from here on

import mischance  # noqa: E402

project = "mischance"
author = "The mischance authors"
copyright = "The mischance authors, Apache License 2.0"
release = version = mischance.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "_docstrings"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("FloatArray", "IntArray", "BoolArray", "AnyArray")}
python_maximum_signature_line_length = 100
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
# Types in signatures are those of NumPy, pandas and Python, whose pages are not at hand while these are built.
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["ref.python"]  # two classes may have a field of one name; the name is then no link

html_theme = "furo"
html_title = "mischance"
html_theme_options = {"source_edit_link": "", "top_of_page_buttons": []}
html_copy_source = False

# The tables of options come from the pydantic models themselves, so that they cannot grow stale.
_generate.write(HERE / "_generated")
