"""The site, built by `.ci/docs`: these pages, the docstrings of the package, the gallery of examples/."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.autodoc.mock import _MockObject
from sphinx_gallery.sorting import ExplicitOrder

from fastconv import __version__

DOCS = Path(__file__).resolve().parent

project = "fastconv"
author = copyright = "The fastconv developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",  # before autosummary, which imports modules on mocked libraries
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

# ---- Markdown

myst_heading_anchors = 3

# ---- docstrings

# Pages are the same whether these are installed or not.
autodoc_mock_imports = ["autograd", "dask", "jax", "keras", "onnx", "torch"]
_MockObject.__setitem__ = lambda *_: None  # JAX registers primitives in tables
autodoc_typehints = "none"  # docstrings say the types, and signatures fit a line or two
autodoc_member_order = "bysource"
default_role = "autolink"

numpydoc_show_class_members = False
numpydoc_validation_checks = {
    "all",
    "ES01",  # a summary may say it all,
    "EX01",  # and the example stand with the function of any rank
    "PR03",  # what is explained together is named together,
    "PR04",  # by "As in `conv`", types included
    "RT02",  # results have names where there are several,
    "RT03",  # and a shape may say it all
    "SA01",
    "SA03",
    "SS05",  # nouns, taken for verbs in the third person
}
numpydoc_validation_exclude = {
    r"interop\.(autograd|jax)\.\w",  # fastconv's functions, by reference
    r"interop\.onnx\.Backend",  # an interface of ONNX's
    r"\.(Choice|ReceptiveField|Summary|LayerSummary)$",  # results: attributes, no parameters
}
# Other libraries: the build reads nothing from the network.
nitpick_ignore = [("py:obj", "padding")]  # an argument that is the name of a module too
nitpick_ignore_regex = [("py:.*", r"(ctypes|numpy|scipy|torch|keras|onnx|autograd|jax|dask)\..*")]

# ---- gallery

# From what a convolution is to what it is good for; an example that is not named stops the build.
ORDER = [
    "sliding_window",
    "filters",
    "arithmetic",
    "one_layer_three_ways",
    "scale_space",
    "hog",
    "templates",
    "features",
    "lenet",
    "transfer",
    "signals",
    "motion",
]

sphinx_gallery_conf = {
    "examples_dirs": str(DOCS.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "ignore_pattern": r"^(?!plot_)",
    "within_subsection_order": ExplicitOrder([f"plot_{name}.py" for name in ORDER]),
    "matplotlib_animations": True,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

# ---- pages

html_theme = "pydata_sphinx_theme"
html_title = "fastconv"
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "benchmarks": [], "benchmarks_avx512": []},
}
# Nothing lies below the first four; the tables of the last are as wide as a page can be.
html_sidebars = {page: [] for page in ("overview", "tutorial", "howto", "extending", "benchmarks*")}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


def write_help(app: Sphinx) -> None:
    """What the command line says of itself, for api/bench.rst to show."""
    folder = DOCS / "api" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in (("bench", ["bench"]), ("compare", ["bench", "compare"])):
        command = [sys.executable, "-m", "fastconv", *command, "--help"]
        (folder / f"{name}_help.txt").write_bytes(subprocess.check_output(command, env=os.environ | {"COLUMNS": "100"}))


def escape_stars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings write shapes like arguments, (N, C, *spatial), which reStructuredText takes for emphasis."""
    lines[:] = [re.sub(r"(?<=[ (])\*(?=[a-z_]+[,)])", r"\\*", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect both."""
    app.connect("builder-inited", write_help)
    app.connect("autodoc-process-docstring", escape_stars, priority=0)
