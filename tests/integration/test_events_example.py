"""examples/events as people use it: a real daemon, two windows, three kinds of clients.

The pictures that are taken on the way are kept in build/screenshots.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.browser import Window, open_window
from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon, bare_environment

EVENTS = ROOT / "examples" / "events"
PICTURES = ROOT / "build" / "screenshots"
KINDS = ["websocket", "eventstream", "poll"]

pytestmark = pytest.mark.slow


class Example:
    """The example with a database of its own; its daemon can be started again on its port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = 0
        self.options = options
        self.environment = {
            "EVENTS_DATABASE": str(folder / "events.sqlite3"),
            "EVENTS_SECRET_KEY": "of-the-tests",
        }
        self.manage("migrate", "--verbosity=0")
        self.manage("demo")

    def manage(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, EVENTS / "manage.py", *arguments],
            env=bare_environment(**self.environment),
            check=True,
            timeout=WAIT_SECONDS,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        options = (f"--pythonpath={EVENTS}", f"--port={self.port}", *self.options)
        self.daemon = Daemon("events.settings", *options, environment=self.environment).start()
        self.port = self.daemon.port

    def stop(self) -> None:
        assert self.daemon.stop() == 0
        assert "Traceback" not in self.daemon.log, self.daemon.log

    @property
    def url(self) -> str:
        return self.daemon.url


class Page(Window):
    """A window on the chart."""

    def go(self) -> None:
        self.open("/")
        self.wait_to_show(lambda: self.texts("figure .state"), ["Live"] * 3)

    def drawn(self, kind: str) -> dict[int, Any]:
        """The points of a chart: their values and colours by their ids."""
        script = "return [...charts[arguments[0]]].map(([id, p]) => [id, p.at, p.value, p.hue])"
        return {point[0]: point[1:] for point in self.script(script, kind)}

    def wait_for_points(self, count: int, *kinds: str) -> None:
        for kind in kinds or KINDS:
            self.wait(lambda kind=kind: len(self.drawn(kind)) >= count, f"{count} at {kind}")

    def press_of(self, kind: str) -> None:
        self.press(f"figure[data-kind={kind}] button")

    def state_of(self, kind: str) -> str:
        [state] = self.texts(f"figure[data-kind={kind}] .state")
        return state

    def assert_same(self) -> None:
        """All three draw the same, but for what is on its way to one of them right now."""
        upto = min(max(self.drawn(kind)) for kind in KINDS)
        wanted, *others = [
            {key: point for key, point in self.drawn(kind).items() if key <= upto} for kind in KINDS
        ]
        for drawn in others:
            assert drawn == wanted

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(PICTURES / f"events-{name}.png"))


@pytest.fixture(params=[(), ("--processes=2", "--threads=4")], ids=["threads", "processes"])
def example(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Example]:
    example = Example(tmp_path, *request.param)
    example.start()
    try:
        yield example
    finally:
        example.daemon.kill()


@pytest.fixture
def page(example: Example, tmp_path: Path) -> Iterator[Page]:
    with open_window(example.url, tmp_path / "browser") as window:
        page = Page(window.driver, window.base)
        page.resize(1280, 900)
        page.go()
        yield page


def test_three_kinds_of_clients_draw_the_same_points(
    example: Example, page: Page, tmp_path: Path
) -> None:
    page.wait_for_points(3)
    page.press("figure[data-kind=poll] canvas")
    page.wait(
        lambda: all(
            any(point[2] is not None for point in page.drawn(kind).values()) for kind in KINDS
        ),
        "a mark in all charts",
    )
    page.assert_same()
    page.picture("desktop")

    # One that is cut misses points, asks for them, and then has the same again.
    before = max(page.drawn("eventstream"))
    for kind in KINDS:
        page.press_of(kind)
        page.wait_to_show(lambda kind=kind: page.state_of(kind), "Cut")
    for kind in KINDS:
        page.press_of(kind)
        page.wait_to_show(lambda kind=kind: page.state_of(kind), "Live")
    page.wait(lambda: all(max(page.drawn(kind)) > before + 1 for kind in KINDS), "more points")
    page.assert_same()

    # And so after a restart of the daemon.
    before = max(page.drawn("poll"))
    example.stop()
    example.start()
    page.wait(lambda: all(max(page.drawn(kind)) > before for kind in KINDS), "points after it")
    page.assert_same()

    page.resize(390, 844, "dark")
    page.picture("phone")
    wide = "return document.documentElement.scrollWidth > innerWidth"
    assert page.script(wide) is False

    page.open("/static/chart/icon.svg")
    example.stop()


@pytest.mark.parametrize("example", [()], indirect=True, ids=["threads"])
def test_marks_are_checked_and_bounded(example: Example) -> None:
    with httpx.Client(base_url=example.url, timeout=WAIT_SECONDS) as client:
        assert client.get("/").status_code == 200
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}

        def mark(**data: Any) -> int:
            return client.post("/mark/", data=data, headers=headers).status_code

        assert mark(value="50", hue="10") == 204
        for value, hue in [("nan", "1"), ("101", "1"), ("x", "1"), ("1", "360"), ("1", "")]:
            assert mark(value=value, hue=hue) == 400, (value, hue)
        assert client.post("/mark/", data={"value": 1, "hue": 1}).status_code == 403
        assert {mark(value="1", hue="1") for _ in range(200)} <= {204, 429}
        points = [json.loads(event["data"]) for event in client.get("/poll/").json()]
        marks = [point["at"] for point in points if point["hue"] is not None]
        for at in marks:
            assert sum(at - 0.9 < other <= at for other in marks) <= 20
    example.stop()
