"""Where the ported project is, and its ``manage.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.daemon import bare_environment

__all__ = ["PROJECT", "manage"]

PROJECT = Path(__file__).parent / "project"


def manage(*arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "manage.py", *arguments],
        cwd=PROJECT,
        env=bare_environment(**environment),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
