"""A reply that is lost in an outage: a front without workers does not wait for it for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.joined import WAIT, Host, Notes, wait
from tests.servers import Cuttable, RedisServer

pytestmark = pytest.mark.slow


class Site:
    """A front, its worker, and the server between them, behind a line that can be cut."""

    def __init__(self, line: Cuttable, notes: Notes) -> None:
        url = f"redis://127.0.0.1:{line.port}"
        self.line = line
        self.notes = notes
        options = ("--no-workers", "--response-timeout=600", "--lost-reply-timeout=0.5")
        self.front = Host("front", url, notes, *options)
        self.worker = Host("worker", url, notes, "--threads=8", command="channels-worker")

    def answers(self) -> bool:
        return self.front.get("hello").status_code == 200


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    notes = Notes(tmp_path_factory.mktemp("notes"))
    with RedisServer() as server, Cuttable(server.port) as line:
        site = Site(line, notes)
        with site.worker, site.front:
            for host in (site.worker, site.front):
                host.is_joined()
            wait(site.answers, "the front finds the worker")
            yield site
            assert [host.stop() for host in (site.front, site.worker)] == [0, 0]
            site.front.check_log()


def test_it_is_answered_504_soon_and_told(site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(site.front.get("wait", gate=str(gate)))

    asking = threading.Thread(target=ask)
    asking.start()
    wait(lambda: site.notes["waiting"], "the view waits")
    for _ in range(2):  # the front has had Redis' answer to what it has sent
        wait(site.answers, "the front answers")
    site.line.cut()
    wait(lambda: site.front.get("hello").status_code == 503, "the front notices")
    gate.touch()
    site.worker.wait_for("Failed to send queued message to channel")
    site.line.mend()
    wait(site.answers, "the front answers again")
    asking.join(WAIT)
    [answer] = answers
    assert answer.status_code == 504
    assert "The answer was lost" in answer.text
    site.front.wait_for("1 requests are answered 504")
    assert site.answers()
