"""A user's sockets are closed when the user leaves, on whichever host and process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon, bare_environment
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

SITE = "tests.integration.users_site.settings"
PASSWORD = "correct horse"
LOGGED_OUT = 4401
NAMES = ("ada", "bob")

#: How often a handshake and a logout are let loose on each other.
RACES = 10

MAKE_USERS = f"""
from django.contrib.auth.models import User
for name in {NAMES!r}:
    User.objects.create_user(name, password={PASSWORD!r})
"""


class Site:
    """Some daemons of one site, and its database."""

    def __init__(self, environment: Mapping[str, str], daemons: list[Daemon]) -> None:
        self.environment = environment
        self.daemons = daemons

    def run(self, program: str) -> None:
        """A program beside the daemons."""
        run(program, self.environment)


class Browser:
    """Somebody who visits one host of the site; by itself, nobody."""

    def __init__(self, daemon: Daemon, name: str = "", password: str = PASSWORD) -> None:
        self._daemon = daemon
        self.client = httpx.Client(base_url=daemon.url, timeout=WAIT_SECONDS)
        if name:
            assert self.get("in", name=name, password=password).text == "in"

    def get(self, path: str, **parameters: object) -> httpx.Response:
        response = self.client.get(f"/{path}", params=parameters)
        assert response.status_code == 200, response.text
        return response

    def open(self, path: str = "members") -> ClientConnection:
        cookies = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        return connect(
            f"ws://127.0.0.1:{self._daemon.port}/{path}",
            additional_headers={"Cookie": cookies} if cookies else None,
            open_timeout=WAIT_SECONDS,
            close_timeout=WAIT_SECONDS,
            compression=None,
            proxy=None,
        )


Visit = Callable[..., Browser]


def run(program: str, environment: Mapping[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{program}"],
        cwd=ROOT,
        env=bare_environment(**environment, DJANGO_SETTINGS_MODULE=SITE),
        check=True,
        timeout=WAIT_SECONDS,
    )


def who(socket: ClientConnection) -> str:
    socket.send("?")
    return str(socket.recv(WAIT_SECONDS))


def close_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(WAIT_SECONDS)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def ends(stream: Iterator[str]) -> bool:
    """Reads on until the stream is over; whether nothing more was said in it."""
    return not any("hello" in line for line in stream)


@pytest.fixture
def visit() -> Iterator[Visit]:
    """Makes browsers, which are closed at the end."""
    browsers: list[Browser] = []

    def make(*arguments: Any) -> Browser:
        browsers.append(Browser(*arguments))
        return browsers[-1]

    yield make
    for browser in browsers:
        browser.client.close()


@pytest.fixture(scope="module", params=["threads", "processes", "redis"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    database = tmp_path_factory.mktemp("users") / "site.sqlite3"
    environment = {"USERS_DATABASE": str(database)}
    run(
        "from django.core.management import call_command\ncall_command('migrate', verbosity=0)"
        + MAKE_USERS,
        environment,
    )
    with ExitStack() as stack:
        options = [["--threads=8"]]
        if request.param == "processes":
            options = [["--processes=2", "--threads=4"]]
        elif request.param == "redis":
            server = stack.enter_context(RedisServer())
            layer = {
                "BACKEND": "txchannels.layers.redis.RedisLayer",
                "CONFIG": {"hosts": [server.url]},
            }
            environment["LAYER"] = json.dumps(layer)
            options *= 2
        daemons = [
            stack.enter_context(Daemon(SITE, *one, environment=environment)) for one in options
        ]
        if request.param == "redis":
            for daemon in daemons:
                daemon.wait_for("is connected")
        yield Site(environment, daemons)
        for daemon in daemons:
            assert daemon.stop() == 0
            assert "Traceback" not in daemon.log, daemon.log


def test_logging_out_closes_the_sockets_of_that_browser(site: Site, visit: Visit) -> None:
    first, last = site.daemons[0], site.daemons[-1]
    here, there, other = visit(first, "ada"), visit(last, "ada"), visit(last, "bob")
    with here.open() as one, here.open() as two, there.open() as three, other.open() as four:
        assert [who(socket) for socket in (one, two, three, four)] == ["ada"] * 3 + ["bob"]
        here.get("out")
        assert close_code(one) == close_code(two) == LOGGED_OUT
        assert [who(three), who(four)] == ["ada", "bob"]
    with pytest.raises(InvalidStatus) as refused:
        here.open()
    assert refused.value.response.status_code == 403


def test_logging_out_on_one_host_closes_the_sockets_on_another(site: Site, visit: Visit) -> None:
    first, last = site.daemons[0], site.daemons[-1]
    here, there = visit(first, "ada"), visit(last)
    there.client.cookies = here.client.cookies
    with there.open() as socket:
        assert who(socket) == "ada"
        here.get("out")
        assert close_code(socket) == LOGGED_OUT


def test_event_streams_are_closed_as_sockets_are(site: Site, visit: Visit) -> None:
    here, there = visit(site.daemons[0], "ada"), visit(site.daemons[-1], "ada")
    with (
        here.client.stream("GET", "/news") as one,
        there.client.stream("GET", "/news") as two,
        there.open() as socket,
    ):
        lines, others = one.iter_lines(), two.iter_lines()
        for stream in (lines, others):
            assert "hello" in next(line for line in stream if line.startswith("data:"))
        here.get("out")
        assert ends(lines)
        assert who(socket) == "ada"
        here.client.cookies = httpx.Cookies()
        assert here.client.get("/news").status_code == 403
        there.get("throw", name="ada", code=LOGGED_OUT)
        assert ends(others)
        assert close_code(socket) == LOGGED_OUT


def test_a_user_is_disconnected_everywhere_with_any_code(site: Site, visit: Visit) -> None:
    first, last = site.daemons[0], site.daemons[-1]
    here, there, other = visit(first, "ada"), visit(last, "ada"), visit(first, "bob")
    with here.open() as one, there.open() as two, other.open() as three:
        other.get("throw", name="ada", code=4000)
        assert close_code(one) == close_code(two) == 4000
        assert who(three) == "bob"
    with here.open() as socket:  # it is no logout
        assert who(socket) == "ada"


def test_a_new_password_closes_all_and_the_own_browser_comes_back(site: Site, visit: Visit) -> None:
    first, last = site.daemons[0], site.daemons[-1]
    here, there = visit(first, "bob"), visit(last, "bob")
    try:
        with here.open() as one, there.open() as two:
            here.get("password", password="battery staple")
            assert close_code(one) == close_code(two) == LOGGED_OUT
        with here.open() as socket:
            assert who(socket) == "bob"
        with pytest.raises(InvalidStatus):
            there.open()
    finally:
        here.get("password", password=PASSWORD)


def test_a_handshake_that_waits_is_denied(site: Site, visit: Visit) -> None:
    browser = visit(site.daemons[0], "ada")
    refusals: list[InvalidStatus] = []

    def wait_for_the_answer() -> None:
        try:
            browser.open("late")
        except InvalidStatus as refused:
            refusals.append(refused)

    waiting = threading.Thread(target=wait_for_the_answer)
    waiting.start()
    while not refusals and waiting.is_alive():
        # Until it has joined, there is nobody to be told.
        browser.get("throw", name="ada", code=LOGGED_OUT)
    waiting.join(WAIT_SECONDS)
    [refused] = refusals
    assert refused.response.status_code == 403
    assert b"Access denied" in refused.response.body


def test_no_socket_stays_that_connects_while_its_user_logs_out(site: Site, visit: Visit) -> None:
    """It is denied, or opened and closed, wherever the two meet."""
    ends: list[int] = []
    for at in range(RACES):
        browser = visit(site.daemons[at % len(site.daemons)], "ada")
        leaving = threading.Thread(target=browser.get, args=["out"])
        visitor = visit(site.daemons[-1])
        visitor.client.cookies = httpx.Cookies(browser.client.cookies)
        leaving.start()
        try:
            with visitor.open() as socket:
                ends.append(close_code(socket))
        except InvalidStatus as refused:
            ends.append(refused.response.status_code)
        leaving.join(WAIT_SECONDS)
    assert len(ends) == RACES
    assert set(ends) <= {403, LOGGED_OUT}


@pytest.mark.parametrize("site", ["redis"], indirect=True)
def test_a_program_that_is_not_the_daemon_disconnects_too(site: Site, visit: Visit) -> None:
    browsers = [visit(daemon, "ada") for daemon in site.daemons]
    with browsers[0].open() as one, browsers[1].open() as two:
        site.run(
            "from django.contrib.auth.models import User\n"
            "from txchannels.django.users import disconnect\n"
            "disconnect(User.objects.get(username='ada'), 4002)"
        )
        assert close_code(one) == close_code(two) == 4002
