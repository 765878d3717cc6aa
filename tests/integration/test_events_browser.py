"""Event streams in a real Chromium: its own EventSource, and WebSocketBridge without WebSockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browser import Window, open_window
from tests.integration.test_events import Site

pytestmark = pytest.mark.slow

SOURCE = """
window.heard = []; window.beats = 0;
window.source = new EventSource("/prices/?known=3");
source.onmessage = ({ data, lastEventId }) => heard.push([data, lastEventId]);
source.addEventListener("heartbeat", () => beats++);
source.addEventListener("close", ({ data }) => { heard.push(["close", data]); source.close(); });
"""
BRIDGE = """
window.heard = []; window.transports = [];
window.bridge = new channels.WebSocketBridge({
  minReconnectionDelay: 20, maxReconnectionDelay: 100, idleTimeout: 20000,
  onopen: () => transports.push(bridge.socket.transport),
});
bridge.connect("/denied/", [], {
  eventStreamUrl: (id) => `/prices/?known=3&last_event_id=${encodeURIComponent(id)}`,
  sendUrl: "/send/?id=9",
  sendHeaders: () => ({ "X-CSRFToken": document.cookie.match(/csrftoken=([^;]*)/)[1] }),
});
bridge.listen((payload) => heard.push(payload));
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site("--threads=4") as site:
        yield site
        site.check()


@pytest.fixture
def page(site: Site, tmp_path: Path) -> Iterator[Window]:
    with open_window(site.url, tmp_path / "browser") as page:
        page.open("/page/")
        yield page


def heard(page: Window) -> Any:
    return page.script("return heard")


def start_again(site: Site) -> None:
    """Stop in good order, and come back on the same port."""
    assert site.stop() == 0
    site.check()
    site.options = [one for one in site.options if not one.startswith("--port")]
    site.options.append(f"--port={site.port}")
    site._is_log_complete = False
    site._lines.clear()
    site.start()


def test_an_event_source_comes_back_and_goes_on_where_it_was(site: Site, page: Window) -> None:
    page.script(SOURCE)
    wanted = [["1", "1"], ["2", "2"], ["3", "3"]]
    page.wait_to_show(lambda: heard(page), wanted)
    site.send("two\nlines", id=4)
    page.wait_to_show(lambda: heard(page), [*wanted, ["two\nlines", "4"]])
    page.wait(lambda: page.script("return beats"), "a heartbeat")
    start_again(site)
    page.wait(lambda: site.members == 1, "it is back")
    site.send("5", id=5)
    page.wait_to_show(lambda: heard(page), [*wanted, ["two\nlines", "4"], ["5", "5"]])


def test_the_bridge_falls_back_to_an_event_stream_and_sends_by_post(
    site: Site, page: Window
) -> None:
    page.script(BRIDGE)
    page.wait_to_show(lambda: heard(page), [1, 2, 3])
    assert page.script("return transports") == ["eventstream"]
    page.script("bridge.send({ hello: 'w\xf6rld' })")
    page.wait_to_show(lambda: heard(page), [1, 2, 3, {"hello": "w\xf6rld"}])
    start_again(site)
    page.wait(lambda: site.members == 1, "it is back")
    page.script("bridge.send('again')")
    page.wait_to_show(lambda: heard(page), [1, 2, 3, {"hello": "w\xf6rld"}, "again"])


def test_a_page_that_is_left_is_in_no_group(site: Site, page: Window) -> None:
    page.script(SOURCE)
    page.wait_to_show(lambda: len(heard(page)), 3)
    assert site.members == 1
    page.open("/page/")
    page.wait(lambda: site.members == 0, "it has left")
