"""Builds the documentation site: `sphinx-build -W --keep-going docs site`."""

import shutil
from importlib.metadata import version as version_of
from pathlib import Path

project = "rankscope"
author = "the rankscope maintainers"
release = version = version_of("rankscope")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_static"]

default_role = "code"  # docstrings quote names in single backticks, as Markdown does
html_theme = "furo"
html_title = f"rankscope {release}"
html_copy_source = False  # pages are copied as Markdown instead, under their own names
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the notebook carries its outputs; a test runs it

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_attr_annotations = False  # shapes such as "*batch k" are no markup
napoleon_numpy_docstring = False


def copy_pages(app, error):
    """Writes each page as Markdown next to its HTML, for programs that read the documentation."""
    if error is None and app.builder.name == "html":
        for page in Path(app.srcdir).rglob("*.md"):
            target = Path(app.outdir) / page.relative_to(app.srcdir)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(page, target)


def setup(app):
    """Called by Sphinx."""
    app.connect("build-finished", copy_pages)
