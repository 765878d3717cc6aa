"""What building the site needs: found, or the test is skipped; in CI, failed."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest

from tests.docs.pages import DOCS

__all__ = ["import_extension", "require_sphinx"]


def require_sphinx() -> None:
    """Skip the test where Sphinx, its theme or its parser is not installed; in CI, fail."""
    missing = [name for name in ("sphinx", "furo", "myst_parser") if find_spec(name) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} not installed (pip install '.[docs]'): the site is not built"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def import_extension(name: str) -> ModuleType:
    """A module of ``docs/_ext``."""
    require_sphinx()
    folder = str(DOCS / "_ext")
    sys.path.insert(0, folder)
    try:
        return import_module(name)
    finally:
        sys.path.remove(folder)
