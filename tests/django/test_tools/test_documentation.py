"""The examples of ``docs/testing.md`` run as they are written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.daemon import ROOT, bare_environment

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent / "project"


def examples(name: str) -> list[str]:
    """The Python code of a page, piece by piece."""
    return re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / name).read_text(), re.MULTILINE | re.DOTALL
    )


def test_every_example_passes(tmp_path):
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "liveproject" / "routing.py").write_text(examples("consumers.md")[0])
    pieces = [piece for piece in examples("testing.md") if "TestCase" in piece]
    for number, piece in enumerate(pieces):
        (tmp_path / "liveproject" / f"tests_{number}.py").write_text(piece)
    finished = subprocess.run(
        [sys.executable, "manage.py", "test", "--pattern=tests_*.py", "liveproject"],
        cwd=tmp_path,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Ran 6 tests" in finished.stderr
