"""Sphinx settings of the site; `sphinx-build -W docs build/site` writes it. Nothing in it loads from another host."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE / "_extensions"), str(ROOT), str(ROOT / "envs")]

from inventories import written_inventories

from rllab.version import __version__

project, author, copyright = "rllab", "The rllab authors", "2026, the rllab authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.intersphinx"]
extensions += ["docstrings", "exports", "japanese"]
exclude_patterns = ["_*"]
myst_heading_anchors = 3  # `page.md#a-heading` may be linked to
myst_enable_extensions = ["deflist", "colon_fence"]
highlight_language = "python"

# the reference
default_role = "py:obj"  # `name` in a docstring is a link where the name is known, and code where not
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source", "Cost"]
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
intersphinx_mapping = written_inventories(HERE / "_inventories")
intersphinx_disabled_reftypes = ["std:doc"]

# the pages
html_theme = "furo"
html_title = "rllab"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sphinx = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
