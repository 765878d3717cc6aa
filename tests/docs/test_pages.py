"""What the pages say can be followed: their links lead somewhere, their commands are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.core.management import get_commands

from tests.docs.pages import DOCS, anchors, code, find, indented, links, pages
from tests.integration.daemon import ROOT, bare_environment
from txchannels import messages
from txchannels.options import options_of

PAGES = pages()


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


# The tutorial's pieces are put into files and run, some of them as parts of a file.
@pytest.mark.parametrize(
    "page", [one for one in PAGES if one.parent.name != "tutorial"], ids=name_of
)
def test_every_piece_of_python_compiles(page):
    for piece in code(page, "python"):
        compile(piece, name_of(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_of_our_commands_is_one(page):
    known = {
        command: {"settings", "pythonpath", "check", "version", "help"}
        | {option.name for option in options_of(command)}
        for command in ("channels", "channels-worker")
    }
    for command, options in quoted_commands(page):
        unknown = set(options) - known[command]
        assert not unknown, f"{name_of(page)}: twistd {command} has no --{', --'.join(unknown)}"


def quoted_commands(page: Path) -> list[tuple[str, list[str]]]:
    """The commands of twistd that *page* quotes, and their options."""
    text = page.read_text().replace("\\\n", " ")
    found = []
    quoted = re.findall(r"twistd [^`|\n]*?\b(channels(?:-worker)?)\b([^`|\n]*)", text)
    for command, rest in quoted:
        found.append((command, re.findall(r"(?<=\s)--([a-z][a-z-]*)", rest)))
    return found


def test_options_in_quotes_exist():
    """Those of other programs, and of former ones, are named where they are."""
    ours = {
        option.name for command in ("channels", "channels-worker") for option in options_of(command)
    }
    ours |= {"settings", "pythonpath", "check", "version", "help", "json", "timeout", "daemon"}
    ours |= {"rundir"}  # twistd's own
    for page in (
        "running.md",
        "processes.md",
        "redis.md",
        "concepts.md",
        "sessions.md",
        "routing.md",
    ):
        text = (DOCS / page).read_text()
        assert set(re.findall(r"`--([a-z][a-z-]*)", text)) - ours == set(), page


def test_makefile_targets_that_are_named_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^    |`)make ([a-z]+)", page.read_text(), re.MULTILINE)
        assert set(named) - {"docs"} <= targets, page


def test_commands_of_django_that_are_named_exist():
    ours = {file.stem for file in ROOT.glob("[te]x*/**/management/commands/*.py")}
    known = set(get_commands()) | ours | {"collectstatic", "clearsessions", "changepassword"}
    assert {"runserver", "runworker", "rundelay"} <= ours
    for page in PAGES:
        named = re.findall(r"manage\.py ([a-z_]+)", page.read_text())
        assert set(named) <= known, page


@pytest.mark.slow
def test_orders_to_a_daemon_that_are_named_exist():
    finished = subprocess.run(
        [sys.executable, "-m", "txchannels", "--help"],
        capture_output=True,
        text=True,
        env=bare_environment(),
        timeout=60,
        check=True,
    )
    orders = set(re.findall(r"\{([a-z,]+)\}", finished.stdout)[0].split(","))
    for page in PAGES:
        named = re.findall(r"python -m txchannels ([a-z]+)", page.read_text())
        assert set(named) <= orders, page


#: What is written like a name in Python and is none: a check, units of systemd's, channels.
CHECK = re.compile(r"txchannels\.[EWI]\d{3}")
UNITS = {"txchannels.service", "txchannels.socket"}
CHANNELS = {value for name, value in vars(messages).items() if name.endswith("_CHANNEL")}


@pytest.mark.filterwarnings("ignore:.* is called:DeprecationWarning")
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_name_of_ours_is_there(page):
    for name in set(re.findall(r"`(txchannels(?:\.\w+)+)`", page.read_text())) - UNITS - CHANNELS:
        if not CHECK.fullmatch(name):
            assert find(name) is not None, name


def test_commands_stand_on_lines_of_their_own():
    """A guard of this file: it sees the commands that it checks."""
    assert "twistd -n channels --settings=mysite.settings" in indented(DOCS / "index.md")
    assert ("channels", ["settings", "no-workers"]) in [
        (command, sorted(options, reverse=True))
        for command, options in quoted_commands(DOCS / "running.md")
    ]
