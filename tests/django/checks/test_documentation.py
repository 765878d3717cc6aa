"""docs/checks.md and the checks name the same findings."""

from __future__ import annotations

import re
from pathlib import Path

from txchannels.django.checks.reports import IDS

PAGE = Path(__file__).parents[3] / "docs" / "checks.md"


def test_every_finding_has_its_row_and_every_row_its_finding():
    rows = re.findall(r"^\| `txchannels\.(\w+)` \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    assert {number: title.replace("`", "").strip() for number, title in rows} == IDS
    assert len(rows) == len(IDS)


def test_no_finding_is_written_without_its_id():
    package = Path(__file__).parents[3] / "txchannels" / "django" / "checks"
    used = set()
    for file in package.glob("*.py"):
        used |= set(re.findall(r"(?:error|warning)\(\s*\"(\w+)\"", file.read_text()))
    assert used == set(IDS)
