"""``--reload``: an edit is served to sockets that stay open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.supervised import WAIT, Site, Supervised, wait, workers_of

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def daemon(site: Site) -> Iterator[Supervised]:
    """``--reload`` is enough: it brings a process of its own."""
    with Supervised(site, "--reload", processes=None) as daemon:
        yield daemon
        assert daemon.stop() == 0
    assert not workers_of(site)


def test_a_socket_stays_open_over_edits_good_and_bad(daemon: Supervised, site: Site) -> None:
    with daemon.connect("version") as socket:

        def is_version(version: str) -> bool:
            socket.send("which")
            return str(socket.recv(WAIT)).split()[0] == version

        assert is_version("one")
        site.set_version("two")
        wait(lambda: is_version("two"), "the edit is served")

        # Where it is imported first, so that nothing else of it is: it has to be watched still.
        site.edit("routing.py", "def echo(:\n")
        daemon.wait_for("Reload failed: ")
        assert "SyntaxError" in daemon.log
        assert is_version("two")
        daemon.all_still("the last reload failed")

        site.mend("routing.py")
        site.set_version("three")
        wait(lambda: is_version("three"), "the mended edit is served")
        # Two files were edited: what is served last is what they say now.
        wait(lambda: daemon.serving()[2] == "", "no reload goes on")
    assert daemon.lost() == 0


def test_a_file_that_is_new_is_watched_from_its_import_on(daemon: Supervised, site: Site) -> None:
    site.edit("extra.py", 'VERSION = "from elsewhere"\n')
    site.edit("version.py", "from supervised_site.extra import VERSION  # noqa\n")
    wait(lambda: daemon.get("hello").text.startswith("from elsewhere"), "the edit is served")
    site.edit("extra.py", 'VERSION = "edited there"\n')
    wait(lambda: daemon.get("hello").text.startswith("edited there"), "the edit is served")


def test_a_failed_import_of_a_new_file_is_mended_by_an_edit_there(
    daemon: Supervised, site: Site
) -> None:
    """The generation that failed has told nobody what it has imported."""
    site.edit("extra.py", "VERSION = (\n")
    site.edit("version.py", "from supervised_site.extra import VERSION  # noqa\n")
    daemon.wait_for("Reload failed: ")
    site.edit("extra.py", 'VERSION = "mended there"\n')
    wait(lambda: daemon.get("hello").text.startswith("mended there"), "the edit is served")


def test_a_site_that_is_broken_from_the_start_is_served_when_it_is_edited(site: Site) -> None:
    site.edit("routing.py", "routing = [\n")
    daemon = Supervised(site, "--reload", processes=None).start()
    try:
        wait(lambda: daemon.get("hello").status_code == 503, "it answers 503")
        site.mend("routing.py")
        wait(lambda: daemon.get("hello").status_code == 200, "the edit is served")
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_settings_that_are_broken_from_the_start_are_watched(site: Site) -> None:
    site.edit("settings.py", "SECRET_KEY = (\n")
    daemon = Supervised(site, "--reload", processes=None).start()
    try:
        wait(lambda: daemon.get("hello").status_code == 503, "it answers 503")
        site.mend("settings.py")
        wait(lambda: daemon.get("hello").status_code == 200, "the edit is served")
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_a_new_folder_that_fails_is_watched(daemon: Supervised, site: Site) -> None:
    """The generation that could not start says what it had imported until then."""
    (site.package / "deeper").mkdir()
    site.edit("deeper/there.py", "VERSION = (\n")
    site.edit("version.py", "from supervised_site.deeper.there import VERSION  # noqa\n")
    daemon.wait_for("Reload failed: ")
    site.edit("deeper/there.py", 'VERSION = "mended there"\n')
    wait(lambda: daemon.get("hello").text.startswith("mended there"), "the edit is served")
