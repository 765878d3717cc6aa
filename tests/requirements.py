"""What a test needs of the machine: found, or the test is skipped; in CI, failed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

import pytest

__all__ = ["require"]


def require(program_names: str | Iterable[str], why: str) -> str:
    """The path of the first of *program_names* that is on PATH.

    Without any, the test that asks is skipped, or failed where ``CI=true``: there, a
    check that did not run must not look like one that passed.

    Args:
        why: What the test does with it; it is shown.
    """
    names = [program_names] if isinstance(program_names, str) else list(program_names)
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    reason = f"none of {', '.join(names)} on PATH: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
