"""The tutorial, done as it is written, and looked at as its reader would.

The tests are a reader's way: each begins where the one before it has ended.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.docs.tutorial_reader import Reader, told
from tests.docs.tutorial_text import has_printed
from tests.integration.browser import Window, open_window
from tests.integration.daemon import WAIT_SECONDS, Daemon, wait_until
from tests.servers import RedisServer

pytestmark = pytest.mark.slow

LOBBY = "/rooms/lobby/"
HOST = "chat.example.com"
#: What the web server in front of the daemon says of its client.
FROM_PROXY = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
ADA = {"username": "ada", "password": "lovelace-1815"}
BOB = {"username": "bob", "password": "builder-1999"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Reader(tmp_path_factory.mktemp("tutorial")) as reader:
        yield reader


@pytest.fixture(autouse=True)
def logs(reader: Reader) -> Iterator[None]:
    """What the servers say is shown where a test fails."""
    yield
    for server in reader.servers:
        sys.stdout.write(server.log)


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with open_window("", tmp_path_factory.mktemp("ada") / "profile") as window:
        yield window


@pytest.fixture(scope="module")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with open_window("", tmp_path_factory.mktemp("bob") / "profile") as window:
        yield window


def open_socket(server: Daemon, path: str) -> ClientConnection:
    url = f"ws://127.0.0.1:{server.port}{path}"
    return connect(url, open_timeout=WAIT_SECONDS)


def look(window: Window, server: Daemon, path: str) -> None:
    window.base = server.url
    window.open(path)


def say(window: Window, text: str) -> None:
    window.find("[name=text]").send_keys(text)
    window.press("#composer button")


def wait_for_lines(window: Window, *lines: str) -> None:
    window.wait_to_show(lambda: window.texts("#log li"), list(lines))


def wait_for_status(window: Window, text: str) -> None:
    window.wait_to_show(lambda: window.texts("#status"), [text])


# 1. A page and a socket


def test_part_1_a_function_answers_over_a_socket(reader):
    reader.read(1)
    assert "<h1>Echo</h1>" in httpx.get(reader.servers[0].url, timeout=WAIT_SECONDS).text
    with open_socket(reader.servers[0], "/echo/") as client:
        client.send("hello")
        assert client.recv(WAIT_SECONDS) == told(1, "You said: hello")
    assert "Traceback" not in reader.servers[0].log


def test_part_1_the_page_shows_what_the_function_answers(reader, ada):
    reader.read(1)
    look(ada, reader.servers[0], "/")
    ada.wait(lambda: ada.script("return socket.readyState") == 1, "the socket")
    ada.fill(text="hello")
    ada.wait_to_show(lambda: ada.texts("li"), [told(1, "You said: hello")])


# 2. Rooms


def test_part_2_a_room_hears_itself_and_no_other(reader):
    reader.read(2)
    server = reader.servers[0]
    with (
        open_socket(server, LOBBY) as first,
        open_socket(server, LOBBY) as second,
        open_socket(server, "/rooms/kitchen/") as other,
    ):
        first.send('{"text": "hello"}')
        assert [json.loads(one.recv(WAIT_SECONDS)) for one in (first, second)] == [
            {"text": "hello"}
        ] * 2
        other.send('{"text": "cooking"}')
        assert json.loads(other.recv(WAIT_SECONDS)) == {"text": "cooking"}


def test_part_2_who_sends_nonsense_is_closed(reader):
    reader.read(2)
    for nonsense in ("nonsense", b"\0", "[]", "[" * 50_000, '{"text"}'):
        with open_socket(reader.servers[0], LOBBY) as client:
            client.send(nonsense)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(WAIT_SECONDS)
            assert closed.value.rcvd.code == 4400


def test_part_2_two_windows_show_what_is_written_in_either(reader, ada, bob):
    reader.read(2)
    server = reader.servers[0]
    for window in (ada, bob):
        look(window, server, LOBBY)
        wait_for_status(window, told(2, "Connected"))
    say(ada, "<b>hello</b>")
    for window in (ada, bob):
        wait_for_lines(window, "<b>hello</b>")
    look(bob, server, "/")
    bob.fill(room="The Kitchen!")
    bob.wait_to_show(lambda: bob.path, "/rooms/the-kitchen/")
    assert "Traceback" not in server.log


def test_part_2_new_code_is_loaded_when_its_file_is_saved(reader):
    reader.read(2)
    server = reader.servers[0]
    connected = told(2, "[01/Jan/2026 12:00:00] WebSocket CONNECT /rooms/lobby/ [127.0.0.1:50000]")
    told(2, "`.upper()` behind `read(message)`")

    def is_loud(client: ClientConnection) -> bool:
        client.send('{"text": "hello"}')
        return json.loads(client.recv(WAIT_SECONDS))["text"] == "HELLO"

    with open_socket(server, LOBBY) as client:
        assert not is_loud(client)
        reader.change("chat/consumers.py", "read(message)})})", "read(message).upper()})})")
        wait_until(lambda: is_loud(client))
    assert told(2, "chat/consumers.py has changed, reloading.") in server.log
    assert has_printed((connected,), server.log)


def test_part_2_windows_come_back_to_a_daemon_that_was_away(reader, ada):
    reader.read(2)
    look(ada, reader.servers[0], LOBBY)
    wait_for_status(ada, "Connected")
    server = reader.servers[0]
    reader.stop()
    wait_for_status(ada, told(2, "Connection lost; it will be back"))
    said = ada.texts("#log li")
    say(ada, "anybody?")
    reader.serve("python manage.py runserver", server.port)
    wait_for_status(ada, "Connected")
    wait_for_lines(ada, *said, "ANYBODY?")


# 3. People and history


def log_in(window: Window, server: Daemon, who: dict[str, str]) -> None:
    look(window, server, LOBBY)
    window.wait_to_show(lambda: window.path, f"/log-in/?next={LOBBY}")
    window.fill(**who)
    wait_for_status(window, "Connected")


def wait_for_people(window: Window, names: str) -> None:
    window.wait_to_show(lambda: window.texts("#people"), [names])


def test_part_3_strangers_see_and_hear_nothing(reader):
    reader.read(3, until="From a shell")
    server = reader.servers[0]
    assert httpx.get(server.url + LOBBY, timeout=WAIT_SECONDS).status_code == 302
    with pytest.raises(InvalidStatus) as denied:
        open_socket(server, LOBBY)
    assert denied.value.response.status_code == 403


def test_part_3_people_see_who_is_here_and_what_was_said(reader, ada, bob):
    reader.read(3, until="From a shell")
    server = reader.servers[0]
    log_in(ada, server, ADA)
    log_in(bob, server, BOB)
    told(3, "Here: ada, bob")
    for window in (ada, bob):
        wait_for_people(window, "ada, bob")
    say(ada, "Hello")
    wait_for_lines(bob, told(3, "ada: Hello"))
    bob.driver.refresh()
    wait_for_lines(bob, "ada: Hello")

    reader.read(3, until="The same consumer as a class")
    for window in (ada, bob):
        wait_for_lines(window, "ada: Hello", told(3, "ada: Hello from a shell"))

    ada.open("/admin/chat/message/")
    ada.press("#result_list tbody tr:last-child th a")
    ada.press(".deletelink")
    ada.press("#content [type=submit]")
    wait_for_lines(bob, "ada: Hello from a shell")
    wait_for_people(bob, "bob")
    ada.open("/admin/chat/message/add/")
    ada.script("document.querySelector('[name=author]').selectedIndex = 1")
    for name, value in {"room": "lobby", "text": "Hello from the admin"}.items():
        ada.find(f"[name={name}]").send_keys(value)
    ada.press("[name=_save]")
    wait_for_lines(bob, "ada: Hello from a shell", "ada: Hello from the admin")

    look(ada, server, LOBBY)
    wait_for_people(ada, "ada, bob")
    bob.press("form[action='/log-out/'] button")
    bob.wait_to_show(lambda: bob.path, "/log-in/?next=/")
    wait_for_people(ada, "ada")
    assert "Traceback" not in server.log


# 4. Tests, and the open Internet


def visit(server: Daemon) -> str:
    """Log Ada in as her browser does over HTTPS; returns her cookies."""
    headers = {"Host": HOST, "Origin": f"https://{HOST}", **FROM_PROXY}
    with httpx.Client(base_url=server.url, headers=headers, timeout=WAIT_SECONDS) as client:
        page = client.get("/log-in/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
        cookies = {"Cookie": f"csrftoken={page.cookies['csrftoken']}"}
        fields = {"csrfmiddlewaretoken": token, **ADA}
        page = client.post("/log-in/", data=fields, headers=cookies)
        assert page.status_code == 302, page.text
        assert page.headers["location"] == "/"
        return f"sessionid={page.cookies['sessionid']}"


def enter(server: Daemon, cookies: str) -> ClientConnection:
    """Ada's socket in the lobby, behind the web server in front."""
    return connect(
        f"ws://{HOST}{LOBBY}",
        sock=socket.create_connection(server.address),
        origin=f"https://{HOST}",
        additional_headers={"Cookie": cookies, **FROM_PROXY},
        open_timeout=WAIT_SECONDS,
    )


def wait_for_people_frame(client: ClientConnection, *names: str) -> None:
    """Receive until these people are here."""
    while json.loads(client.recv(WAIT_SECONDS)) != {"type": "people", "people": list(names)}:
        pass


def wait_for_text(client: ClientConnection, text: str) -> None:
    """Receive until somebody says *text*."""
    while True:
        frame = json.loads(client.recv(WAIT_SECONDS))
        if any(message["text"] == text for message in frame.get("messages", ())):
            return


def test_part_4_new_code_while_somebody_talks(reader):
    reader.read(4, until="New code, and nobody notices")
    server = reader.servers[0]
    with enter(server, visit(server)) as client:
        wait_for_people_frame(client, "ada")
        client.send('{"text": ":wave:"}')
        wait_for_text(client, ":wave:")
        reader.read(4, until="Several hosts")
        client.send('{"text": "new :wave:"}')
        wait_for_text(client, "new 👋")
    assert "Traceback" not in server.log
    reader.stop()


def test_part_4_one_host_has_the_sockets_and_another_works(reader):
    reader.read(4, until="Several hosts")
    reader.stop()
    with RedisServer() as redis:
        reader.redis = f"localhost:{redis.port}"
        reader.read(4, until="Usual mistakes")
        front, worker = reader.servers
        with enter(front, visit(front)) as client:
            wait_for_people_frame(client, "ada")
            client.send('{"text": "over Redis"}')
            wait_for_text(client, "over Redis")
        for server in (front, worker):
            assert "Traceback" not in server.log
        reader.stop()


def test_nothing_was_left_out(reader):
    """Nothing but what mistakes print (`test_tutorial_mistakes`) is left to do."""
    reader.read(4)
    assert reader.servers == []
