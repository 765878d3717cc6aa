"""How Sphinx builds the site of the documentation: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import django
from django.conf import settings

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from txchannels import __version__  # noqa: E402 - it is found by the line above

# The modules whose docstrings are shown can only be imported in a site.
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "txchannels.django",
        "txchannels.django.delay",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="nothing is signed with it",  # noqa: S106
    STATIC_URL="static/",
)
django.setup()

project = "txchannels"
author = "txchannels developers"
copyright = "txchannels developers"  # noqa: A001 - Sphinx calls it so
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "house_docstrings",
    "links_outside",
    "reference_tables",
]
root_doc = "index"
# For readers of the repository; the site has the index.
exclude_patterns = ["README.md"]

myst_heading_anchors = 4
myst_links_external_new_tab = False

# `name` in a docstring is one of ours, or else shown as code.
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Thread", "returns_style"), ("Source", "returns_style")]
# What signatures name of Django's, of Python's and of private things has no page here.
nitpick_ignore_regex = [
    ("py:.*", r"(?!txchannels).*"),
    ("py:class", r"txchannels\..*\.(Consumer|Declaration|FeedResponse)"),
]

# They would make a dash of the two before an option.
smartquotes = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme = "furo"
html_title = f"txchannels {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b6b5d",
        "color-brand-content": "#0b6b5d",
    },
    "dark_css_variables": {
        "color-brand-primary": "#5fd0bd",
        "color-brand-content": "#5fd0bd",
    },
}
