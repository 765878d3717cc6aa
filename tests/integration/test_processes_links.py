"""A site whose folder is a link is reloaded with what the link leads to then."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.supervised import SETTINGS, WAIT, Site, Supervised

pytestmark = pytest.mark.slow


@pytest.fixture
def run() -> Iterator[Path]:
    """A folder with a short path, as sockets' are to be."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_reload_follows_a_link_though_the_former_release_is_gone(
    tmp_path: Path, run: Path
) -> None:
    releases = {}
    for name in "abc":
        (tmp_path / name).mkdir()
        releases[name] = Site(tmp_path / name)
        releases[name].set_version(name)
    link = tmp_path / "current"
    link.symlink_to("a")
    site = releases["a"]
    there = {"PWD": str(link), "XDG_RUNTIME_DIR": str(run), "RUNTIME_DIRECTORY": None}
    daemon = Supervised(site, processes=1, environment=there)
    daemon.options.remove(f"--socket={site.socket}")
    place = f"{link}/{site.package.name}/settings"
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    site.socket = run / "txchannels" / f"{SETTINGS}-{digest}.sock"
    daemon.environment["PYTHONPATH"] = daemon.environment["PYTHONPATH"].partition(":")[2]
    daemon.folder = link

    def order(name: str) -> None:
        """By the settings alone, from the site's folder."""
        ended = subprocess.run(
            [sys.executable, "-m", "txchannels", "reload", f"--settings={SETTINGS}"],
            cwd=link,
            env=daemon.environment,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), f"{name}: {daemon.log}"

    def lead(name: str) -> None:
        (tmp_path / "next").symlink_to(name)
        (tmp_path / "next").replace(link)

    with daemon:
        assert daemon.get("hello").text.split()[0] == "a"
        lead("b")
        order("b")
        assert daemon.get("hello").text.split()[0] == "b"
        shutil.rmtree(tmp_path / "a" / site.package.name)
        (tmp_path / "a" / "notes").rmdir()
        (tmp_path / "a").rmdir()
        lead("c")
        order("c")
        assert daemon.get("hello").text.split()[0] == "c"
        link.unlink()
        outcome = daemon._ask("reload")
        assert not outcome["ok"]
        assert f"its folder {link}: No such file or directory" in outcome["reason"]
        assert daemon.get("hello").text.split()[0] == "c", "it goes on"
        assert daemon.stop() == 0
