"""A daemon serves the ported project: threads, threads without order, processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.integration.daemon import Daemon, wait_until
from tests.ported.project_of_2017 import PROJECT, manage

pytestmark = pytest.mark.slow

#: A guard against hanging, not a measure.
WAIT = 60.0

CREATE_ANN = """
from django.contrib.auth.models import User
User.objects.create_user("ann", password="pw")
"""


@pytest.fixture(scope="module", params=["--threads=8", "--unordered", "--processes=2"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    database = str(tmp_path_factory.mktemp("ported") / "board.sqlite3")
    finished = manage("migrate", "--verbosity=0", BOARD_DATABASE=database)
    assert finished.returncode == 0, finished.stderr
    finished = manage("shell", "-c", CREATE_ANN, BOARD_DATABASE=database)
    assert finished.returncode == 0, finished.stderr
    with Daemon(
        "bulletin.settings",
        request.param,
        "--ws-origin=*",
        environment={"BOARD_DATABASE": database},
        folder=PROJECT,
    ) as daemon:
        yield daemon
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


@pytest.fixture
def browser(site: Daemon) -> Iterator[httpx.Client]:
    """One in which Ann has signed in."""
    with httpx.Client(base_url=site.url, timeout=WAIT, trust_env=False) as client:
        answer = client.post("/sign-in/", data={"name": "ann", "password": "pw"})
        assert answer.text == "hello ann", answer.text
        yield client


def open_socket(
    site: Daemon, path: str, browser: httpx.Client | None = None, **options: Any
) -> ClientConnection:
    headers = {}
    if browser is not None:
        headers["Cookie"] = f"sessionid={browser.cookies['sessionid']}"
    return connect(
        f"ws://127.0.0.1:{site.port}{path}",
        additional_headers=headers,
        open_timeout=WAIT,
        close_timeout=WAIT,
        compression=None,
        proxy=None,
        **options,
    )


def hear(client: ClientConnection) -> Any:
    return json.loads(client.recv(WAIT))


def hear_out(client: ClientConnection) -> tuple[list[str | bytes], int | None]:
    """All that comes before the end, and the code with which the daemon ends it."""
    frames = []
    try:
        while True:
            frames.append(client.recv(WAIT))
    except ConnectionClosed as closed:
        return frames, None if closed.rcvd is None else closed.rcvd.code


def test_a_room_with_users_and_order(site: Daemon, browser: httpx.Client) -> None:
    with (
        open_socket(site, "/rooms/attic/", browser) as ann,
        open_socket(site, "/de/rooms/attic/") as stranger,
        open_socket(site, "/rooms/cellar/") as elsewhere,
    ):
        for number in range(20):
            ann.send(f"line {number}")
        heard = [stranger.recv(WAIT) for _ in range(20)]
        assert heard == [f"ann says line {number} ({number + 1})" for number in range(20)]
        assert [ann.recv(WAIT) for _ in range(20)] == heard
        stranger.send("hm")
        assert ann.recv(WAIT) == "nobody says hm (1)"
        elsewhere.send("hello?")
        assert elsewhere.recv(WAIT) == "nobody says hello? (1)"


def test_a_post_is_told_at_once_and_again_from_behind_the_scenes(
    site: Daemon, browser: httpx.Client
) -> None:
    with open_socket(site, "/rooms/loft/") as client:
        assert browser.post("/post/", data={"room": "loft", "text": "swept"}).status_code == 201
        assert client.recv(WAIT) == "posted: swept"
        # Each worker process counts its own tries.
        assert re.fullmatch(r"notified after \d tries", str(client.recv(WAIT)))
        assert browser.get("/bell/").text == "rung"
        assert client.recv(WAIT) == "ding"


def test_sessions_of_sockets_and_browsers(site: Daemon, browser: httpx.Client) -> None:
    browser.get("/")
    with open_socket(site, "/sessions/channel/") as client:
        for count in range(1, 4):
            client.send("")
            assert client.recv(WAIT) == str(count)
    with open_socket(site, "/sessions/http/", browser) as client:
        assert client.recv(WAIT) == "1"
    key = browser.cookies["sessionid"]
    with open_socket(site, f"/sessions/http/?session_key={key}") as client:
        assert client.recv(WAIT) == "1"
    with open_socket(site, "/sessions/both/", browser) as client:
        browser.get("/")
        client.send("")
        assert client.recv(WAIT) == "1 2"
    for path, known, unknown in (
        ("/sessions/user/", "hello ann", "hello stranger"),
        ("/sessions/users/", "ann 3 True", "stranger 0 False"),
    ):
        for who, said in ((browser, known), (None, unknown)):
            with open_socket(site, path, who) as client:
                if path == "/sessions/users/":
                    client.send("")
                assert client.recv(WAIT) == said


def test_doors(site: Daemon) -> None:
    own = f"http://127.0.0.1:{site.port}"
    for path, origin, is_open in (
        ("/doors/closed/", None, False),
        ("/doors/own/", own, True),
        ("/doors/own/", "http://evil.example", False),
        ("/doors/own/", None, False),
        ("/doors/friends/", "http://friends.example", True),
        ("/doors/friends/", own, False),
        ("/classes/guarded/", own, True),
        ("/classes/guarded/", None, False),
    ):
        if is_open:
            with open_socket(site, path, origin=origin):
                continue
        with pytest.raises(InvalidStatus) as raised, open_socket(site, path, origin=origin):
            pass
        assert raised.value.response.status_code == 403
    for text, code in (("plain", 1000), ("4001", 4001), ("last word", 3001)):
        with open_socket(site, "/doors/revolving/") as client:
            client.send(text)
            assert hear_out(client) == (["and stay out"] if text == "last word" else [], code)


def test_routes_of_all_kinds(site: Daemon) -> None:
    with open_socket(site, "/tuesday/") as client:
        assert hear_out(client) == (["tuesday"], 4000)
    with open_socket(site, "/en/rooms/de/language/") as client:
        assert hear_out(client) == (["de"], 1000)


def test_classes(site: Daemon, browser: httpx.Client) -> None:
    with open_socket(site, "/classes/echo/") as client:
        for frame in ("hi", "", b"", b"\x00\xff"):
            client.send(frame)
            assert client.recv(WAIT) == frame
        client.send("all")
        assert client.recv(WAIT) == "to all echoes"
        client.send("close")
        assert hear_out(client) == ([], 4002)
    with open_socket(site, "/classes/rooms/attic/") as client:
        client.send("[1]")
        assert hear(client) == {"from": "/classes/rooms/attic/", "content": [1]}
    browser.get("/")
    with open_socket(site, "/classes/account/", browser) as client:
        client.send("0")
        assert hear(client) == {"user": "ann", "visits": 1}
    with pytest.raises(InvalidStatus), open_socket(site, "/classes/account/"):
        pass
    with open_socket(site, "/classes/ordered/", browser) as client:
        for number in range(10):
            client.send(str(number))
        for number in range(10):
            assert hear(client) == {"user": "ann", "numbers": list(range(number + 1))}
    for greeting in ("hello", "bye"):
        with open_socket(site, f"/classes/{greeting}/") as client:
            assert hear_out(client) == ([f"{greeting} True"], 1000)


def test_streams(site: Daemon) -> None:
    with open_socket(site, "/classes/streams/") as client:
        assert hear(client) == {"stream": "sum", "payload": {"state": "open"}}
        for stream, payload, answer in (
            ("sum", {"add": 2}, {"sum": 2}),
            ("sum", {"add": 3}, {"sum": 5}),
            ("count", {}, {"length": 2}),
            ("shout", {"text": "hey"}, {"shout": "hey"}),
        ):
            client.send(json.dumps({"stream": stream, "payload": payload}))
            assert hear(client) == {"stream": stream, "payload": answer}
        with open_socket(site, "/classes/streams/") as other:
            hear(other)
            client.close()
            assert hear(other) == {"stream": "sum", "payload": {"left": 5}}


def test_rows_go_out_and_come_in(site: Daemon, browser: httpx.Client) -> None:
    path = "/classes/rows/"
    with open_socket(site, path, browser) as ann, open_socket(site, path) as stranger:
        for client, text in ((stranger, "not mine"), (ann, "mine")):
            data = {"room": "attic", "text": text}
            payload = {"action": "create", "pk": None, "data": data}
            client.send(json.dumps({"stream": "notices", "payload": payload}))
        for client in (ann, stranger):
            heard = [client.recv(WAIT) for _ in range(3)]
            assert "log: mine" in heard
            rows = [json.loads(one) for one in heard if one != "log: mine"]
            assert sorted(row["stream"] for row in rows) == ["loud", "notices"]
            for row in rows:
                assert row["payload"]["action"] == "create"
                assert row["payload"]["data"]["text"] == "mine"


def test_a_message_for_later_comes_later(site: Daemon, browser: httpx.Client) -> None:
    with open_socket(site, "/rooms/barn/") as client:
        client.send("here")
        assert client.recv(WAIT) == "nobody says here (1)"
        assert browser.post("/remind/", data={"room": "barn"}).text == "will do"
        assert client.recv(WAIT) == "later"


def test_http_with_and_without_views(site: Daemon, browser: httpx.Client) -> None:
    answer = browser.get("/ping/")
    assert (answer.status_code, answer.text, answer.headers["x-pong"]) == (200, "pong", "yes")
    assert browser.post("/ping/").status_code == 404  # that is the views'
    answer = browser.get("/who-am-i/?q=a+b")
    assert answer.json() == {"user": "ann", "query": "a b"}
    assert answer.cookies["asked"] == "yes"
    assert browser.get("/drip/5/").text == "0 1 2 3 4 done"
    assert browser.get("/static/board/board.css").text.startswith("body")
    answer = browser.post("/upload/", content=b"x" * 300_000)
    assert answer.json()["length"] == 300_000
    assert answer.json()["message"] == "http.request"


def test_views_that_let_others_answer(site: Daemon, browser: httpx.Client) -> None:
    def ask(number: int) -> str:
        own = "&own=1" if number % 2 else ""
        return httpx.get(f"{site.url}/wait/?what={number}{own}", timeout=WAIT, trust_env=False).text

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(16)))
    assert answers == [f"at last: {number}" for number in range(16)]


def test_the_signals_of_its_workers(site: Daemon, browser: httpx.Client) -> None:
    def is_counted() -> bool:
        counts = browser.get("/seen/").json()
        # One more has started than is finished: the view that counts, as everything's.
        return (
            counts["ready"] == counts["process_ready"] == 1
            and counts["started"] > counts["finished"] >= 1
        )

    wait_until(is_counted)
