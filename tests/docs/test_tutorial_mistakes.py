"""What the tutorial says of the usual mistakes: they are made, and print what it quotes."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.docs.tutorial_reader import PAGES, Reader, read_page
from tests.docs.tutorial_text import Quote, has_printed
from tests.integration.daemon import WAIT_SECONDS, Daemon

pytestmark = pytest.mark.slow

SERVE = "twistd -n --pidfile= channels --settings=mysite.settings"
CHECK = f"{SERVE} --check"
CONSUMERS = "chat/consumers.py"
LOBBY = "/rooms/lobby/"

Mistake = Callable[[Reader], str]

#: By part and heading: makes the mistake in a project at that part's end; returns what it prints.
MISTAKES: dict[tuple[int, str], Mistake] = {}


def mistake(number: int, heading: str) -> Callable[[Mistake], Mistake]:
    def register(function: Mistake) -> Mistake:
        MISTAKES[number, heading] = function
        return function

    return register


def in_text() -> list[tuple[int, str]]:
    """Each heading under "Usual mistakes", with its part's number."""
    found = []
    for number, page in sorted(PAGES.items()):
        section = page.read_text().partition("\n## Usual mistakes\n")[2].partition("\n## ")[0]
        found += [(number, heading) for heading in re.findall(r"^### (.+)$", section, re.MULTILINE)]
    return found


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Reader]]:
    """A reader at the end of each part, who has started no server."""
    ends = {}
    with Reader(tmp_path_factory.mktemp("mistakes"), serves=False) as reader:
        for number in sorted(PAGES):
            reader.read(number)
            ends[number] = reader.copy(tmp_path_factory.mktemp("ends") / str(number))
        yield ends


@pytest.fixture
def stray(projects: dict[int, Reader], tmp_path: Path) -> Iterator[Callable[[int], Reader]]:
    """Makes a reader who has done what a part says, and may go astray."""
    readers: list[Reader] = []

    def make(number: int) -> Reader:
        readers.append(projects[number].copy(tmp_path / "stray"))
        return readers[-1]

    yield make
    for reader in readers:
        reader.__exit__()


@pytest.mark.parametrize(("number", "heading"), in_text())
def test_a_mistake_prints_what_the_text_quotes(number, heading, stray):
    assert (number, heading) in MISTAKES, "nobody tries what the text says there"
    quotes = [
        block
        for block in read_page(number)
        if isinstance(block, Quote) and block.headings[-1] == heading
    ]
    printed = MISTAKES[number, heading](stray(number))
    for quote in quotes:
        assert has_printed(quote.lines, printed), f"{quote.where}: it is\n{printed}"


def test_every_quote_is_of_a_mistake():
    quotes = {
        (number, block.headings[-1])
        for number in PAGES
        for block in read_page(number)
        if isinstance(block, Quote)
    }
    assert quotes <= set(in_text()) == set(MISTAKES)


# What the mistakes are


def open_socket(server: Daemon, path: str, **options) -> ClientConnection:
    url = f"ws://127.0.0.1:{server.port}{path}"
    return connect(url, open_timeout=WAIT_SECONDS, **options)


def say(server: Daemon, path: str, text: str, until: str = "") -> str:
    """Open a socket and send *text*; returns the log, as soon as *until* is in it."""
    with open_socket(server, path) as client:
        client.send(text)
        server.wait_for(until)
    return server.log


def denied(server: Daemon, path: str, **options) -> str:
    """What a handshake is refused with: its status and body."""
    with pytest.raises(InvalidStatus) as refused:
        open_socket(server, path, **options)
    response = refused.value.response
    return f"{response.status_code}\n{response.body.decode()}"


@mistake(1, "A name in the settings is wrong")
def wrong_name(reader: Reader) -> str:
    reader.change("mysite/settings.py", "channel_routing", "chanel_routing")
    printed = reader.run(SERVE, code=1)
    assert reader.run(CHECK, code=1) == printed
    return printed


@mistake(1, "The daemon is started in another folder")
def another_folder(reader: Reader) -> str:
    printed = reader.run(f"cd / && {SERVE}", code=1)
    return printed.replace(" in / ", " in /somewhere ")


@mistake(1, "The port is taken")
def taken_port(reader: Reader) -> str:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        return reader.run(f"{SERVE} --port={port}", code=1)


@mistake(1, "Two daemons in one folder")
def two_daemons(reader: Reader) -> str:
    serve = SERVE.replace("--pidfile= ", "")
    reader.serve(serve)
    printed = reader.run(f"{serve} --port=0", code=1)
    reader.serve(SERVE)
    return printed


@mistake(1, "The consumer raises")
def raising(reader: Reader) -> str:
    reader.change(CONSUMERS, "{message[", "{mesage[")
    return say(reader.serve(SERVE), "/echo/", "hello", "NameError: ")


@mistake(1, "The path does not match")
def wrong_path(reader: Reader) -> str:
    server = reader.serve(SERVE)
    return say(server, "/ecco/", "hello", "No route takes")


@mistake(1, "A page of another site")
def another_site(reader: Reader) -> str:
    server = reader.serve(SERVE)
    localhost = f"http://localhost:{server.port}"
    assert denied(server, "/echo/", origin=localhost).startswith("403")
    with open_socket(server, "/echo/", origin=server.url):
        pass
    return denied(server, "/echo/", origin="https://elsewhere.example")


@mistake(2, "Nobody accepts")
def nobody_accepts(reader: Reader) -> str:
    reader.change(CONSUMERS, '    message.reply_channel.send({"accept": True})\n', "")
    server = reader.serve(f"{SERVE} --ws-connect-timeout=0.5")
    return denied(server, LOBBY)


@mistake(2, "A name that no group may have")
def bad_group(reader: Reader) -> str:
    reader.change("mysite/routing.py", "[-a-zA-Z0-9_]{1,50}", ".+")
    server = reader.serve(SERVE)
    assert denied(server, "/rooms/K%C3%BCche/").startswith("403")
    server.wait_for("TypeError: ")
    return server.log


@mistake(2, "Something other than text is sent")
def no_text(reader: Reader) -> str:
    reader.change(
        CONSUMERS, '{"text": json.dumps({"text": read(message)})}', '{"said": read(message)}'
    )
    return say(reader.serve(SERVE), LOBBY, '{"text": "hello"}', "Dropped")


@mistake(2, "The script is not there")
def no_script(reader: Reader) -> str:
    reader.change("mysite/settings.py", '"txchannels.django", ', "")
    server = reader.serve(SERVE)
    script = f"{server.url}/static/txchannels/websocketbridge.min.js"
    assert httpx.get(script, timeout=WAIT_SECONDS).status_code == 404
    return server.log


@mistake(3, "The tables are missing")
def no_tables(reader: Reader) -> str:
    (reader.folder / "db.sqlite3").unlink()
    server = reader.serve(SERVE)
    cookies = {"Cookie": "sessionid=unknown"}
    assert denied(server, LOBBY, additional_headers=cookies).startswith("403")
    server.wait_for("OperationalError")
    return server.log


@mistake(3, "There is no message.user")
def no_decorator(reader: Reader) -> str:
    reader.change(CONSUMERS, "    http_user = True\n", "")
    server = reader.serve(SERVE)
    assert denied(server, LOBBY).startswith("403")
    server.wait_for("AttributeError")
    return server.log


@mistake(3, "The shell speaks, and nobody hears")
def nobody_hears(reader: Reader) -> str:
    send = "from txchannels.django import Group; Group('room-lobby').send({'text': 'x'})"
    return reader.run(f'python manage.py shell -c "{send}"', code=1)


@mistake(4, "The new code does not start")
def broken_code(reader: Reader) -> str:
    server = reader.serve(f"{SERVE} --processes=1")
    assert httpx.get(server.url, timeout=WAIT_SECONDS).status_code == 302
    (reader.folder / CONSUMERS).write_text("from chat import romms\n")
    printed = reader.run("python -m txchannels reload --socket=channels.sock", code=1)
    assert httpx.get(server.url, timeout=WAIT_SECONDS).status_code == 302
    return printed


@mistake(4, "A host that is not allowed")
def wrong_host(reader: Reader) -> str:
    server = reader.serve("twistd -n --pidfile= channels --settings=mysite.production")
    assert httpx.get(server.url, timeout=WAIT_SECONDS).status_code == 400
    assert denied(server, LOBBY, origin=server.url).startswith("403")
    server.wait_for("Invalid HTTP_HOST")
    return server.log


@mistake(4, "The memory layer on several hosts")
def memory_alone(reader: Reader) -> str:
    reader.change("mysite/settings.py", "ipc.IPCLayer", "memory.MemoryLayer")
    reader.change("mysite/settings.py", '{"path": BASE_DIR / "channels.sock"}', "{}")
    return reader.run(SERVE.replace("channels", "channels-worker"), code=1)
