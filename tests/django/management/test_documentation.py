"""docs/commands.md has every option of the commands, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from txchannels.django.management.commands import runserver, runworker

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"

#: Those that every command has, and that need no row.
OF_ALL = {"-h", "--help", "--version", "--traceback", "-v"}


@pytest.mark.parametrize(("name", "module"), [("runserver", runserver), ("runworker", runworker)])
def test_every_option_has_its_row(name, module):
    section = PAGE.read_text().split(f"\n## {name}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    told = {option for row in rows for option in re.findall(r"(?<!\w)--?\w[\w-]*", row)}
    parser = module.Command().create_parser("manage.py", name)
    known = {option for action in parser._actions for option in action.option_strings}
    assert told - known == set()
    missing = known - told - OF_ALL
    assert missing <= {"--no-color", "--force-color"}
