"""The site of the documentation: built without a warning, whole, and as the code is."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from django.conf import global_settings

from tests.docs.building import require_sphinx
from tests.docs.pages import DOCS
from tests.integration.daemon import ROOT, bare_environment
from txchannels.layers.ipc import IPCLayer
from txchannels.layers.memory import MemoryLayer
from txchannels.layers.redis import RedisLayer
from txchannels.options import OPTIONS, WORKER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: Parts of Django's settings that `global_settings` does not have.
DJANGOS = {"ROOT_URLCONF", "SETTINGS_MODULE"}


class Reader(HTMLParser):
    """The ids, links and text of a page; rows of tables by their ids."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: dict[str, str] = {}
        self._row = ""
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        for name in ("href", "src"):
            if given.get(name):
                self.links.append(str(given[name]))
        if tag == "tr":
            self._row = str(given.get("id") or "")
            self.rows.setdefault(self._row, "")
        if tag == "td":
            self.rows[self._row] += "|"

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._row = ""

    def handle_data(self, data: str) -> None:
        if self._row:
            self.rows[self._row] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    require_sphinx()
    folder = tmp_path_factory.mktemp("site")
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "-n", "-q", "--keep-going", "-b", "html"),
            *("-d", folder / "doctrees", DOCS, folder / "html"),
        ],
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return folder / "html"


@pytest.fixture(scope="module")
def read(site: Path) -> dict[Path, Reader]:
    """Every page of the site."""
    return {page: Reader(page) for page in site.rglob("*.html")}


def test_it_builds_without_a_warning(site):
    assert (site / "index.html").exists()


def test_every_link_within_the_site_leads_somewhere(site, read):
    for page, reader in read.items():
        for link in reader.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or parts.path.startswith("mailto:"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), (page.name, link)
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in read[target].ids, (page.name, link)


def test_every_page_is_within_two_clicks_of_the_index(site, read):
    """The list at the side of each page has them all."""
    listed = {link.partition("#")[0] for link in read[site / "index.html"].links}
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix(".html").as_posix()
        if name not in ("README.html", "index.html"):
            assert name in listed, name


# Settings


def test_every_option_is_on_the_page_of_settings_and_no_other(site, read):
    rows = read[site / "settings.html"].rows
    shown = {name.removeprefix("option-") for name in rows if name.startswith("option-")}
    assert shown == {option.name for option in OPTIONS}


def test_an_option_is_shown_with_its_key_its_default_and_its_commands(site, read):
    rows = read[site / "settings.html"].rows
    for option in OPTIONS:
        _, name, _, meaning = rows[f"option-{option.name}"].split("|")
        assert re.split("[= ]", name.strip())[0] == f"--{option.name}"
        assert name.split()[-1] == option.key
        assert meaning.strip().endswith(WORKER) == (WORKER in option.commands)
    for name, default in (
        ("keep-alive", "75 s"),
        ("switch-interval", "0.0001 s"),
        ("max-body", "2 GiB"),
        ("inline-body", "64 KiB"),
        ("threads", "64"),
        ("max-connections", "20 000"),
        ("bind", "127.0.0.1"),
        ("no-workers", "no"),
        ("access-log", ""),
    ):
        assert rows[f"option-{name}"].split("|")[2].split() == default.split(), name


@pytest.mark.parametrize("layer", [MemoryLayer, IPCLayer, RedisLayer])
def test_every_key_of_a_layers_config_is_there(site, read, layer):
    rows = read[site / "settings.html"].rows
    shown = {name.partition("-")[2] for name in rows if name.startswith(f"{layer.__name__}-")}
    assert shown == set(inspect.signature(layer).parameters) - {"clock"}


def read_in_the_code() -> set[str]:
    """The names of Django settings that our code reads."""
    names: set[str] = set()
    for file in (ROOT / "txchannels").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id="settings"), attr=name):
                    names.add(name)
                case ast.Call(
                    func=ast.Name(id="getattr" | "hasattr"),
                    args=[ast.Name(id="settings"), ast.Constant(value=str(name)), *_],
                ):
                    names.add(name)
    return {name for name in names if name.isupper()}


def test_every_django_setting_of_ours_is_on_the_page_and_no_other():
    page = (DOCS / "settings.md").read_text()
    table = page.partition("## Other Django settings")[2]
    named = set(
        re.findall(r"`([A-Z_]+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    )
    djangos = {name for name in dir(global_settings) if name.isupper()} | DJANGOS
    code = read_in_the_code()
    assert {"CHANNEL_LAYERS", "CHANNEL_SESSION_ENGINE", "TXCHANNELS"} <= code
    assert code - djangos == named - djangos


def test_the_commands_help_is_on_the_page_of_the_command_line(site, read):
    text = (site / "cli.html").read_text()
    for option in OPTIONS:
        assert f"--{option.name}" in text, option.name


# What is made of docstrings


def test_sections_of_docstrings_are_sections(site):
    text = (site / "api" / "consumers.html").read_text()
    for section in ("Parameters", "Raises"):
        assert f'<dt class="field-odd">{section}' in text or f">{section}<" in text
    assert "Raises: TypeError" not in text


def test_no_markup_is_left_over(site):
    """Double backticks, or a directive, in the text of a page: it was not understood."""
    for page in site.rglob("*.html"):
        if page.name in ("search.html", "genindex.html", "py-modindex.html"):
            continue
        text = re.sub(r"<(pre|code)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
        text = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert "``" not in text, page.name
        assert not re.search(r">[^<]*\]\((?!http)[^)<]*\.md", text), page.name


def documented_modules() -> list[str]:
    text = "".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    return re.findall(r"^\.\. automodule:: (\S+)$", text, re.MULTILINE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_public_name_of_a_module_of_the_api_is_shown(site, read):
    shown = {one for page in (site / "api").glob("*.html") for one in read[page].ids}
    for module in documented_modules():
        for name in import_module(module).__all__:
            assert f"{module}.{name}" in shown, f"{module}.{name}"
