"""examples/chat as people use it: a real daemon, and two people in two browsers.

The pictures that are taken on the way are kept in build/screenshots.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.integration.browser import Window, open_window
from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon, bare_environment

CHAT = ROOT / "examples" / "chat"
PICTURES = ROOT / "build" / "screenshots"

PHONE = (390, 844)
DESKTOP = (1280, 800)

pytestmark = pytest.mark.slow


class Chat:
    """The chat with a database of its own; its daemon can be killed and started again.

    Args:
        folder: Where the database is.
    """

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self.environment = {
            "CHAT_DATABASE": str(folder / "chat.sqlite3"),
            "CHAT_SECRET_KEY": "of-the-tests",
        }

    @property
    def url(self) -> str:
        return self.daemon.url

    def manage(self, *arguments: str) -> None:
        """Run a management command."""
        subprocess.run(
            [sys.executable, CHAT / "manage.py", *arguments],
            env=bare_environment(**self.environment),
            check=True,
            timeout=WAIT_SECONDS,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        """Start the daemon, on the port that it had before, and wait until it listens."""
        options = (f"--pythonpath={CHAT}", f"--port={self.port}")
        self.daemon = Daemon("chat.settings", *options, environment=self.environment).start()
        self.port = self.daemon.port

    def kill(self) -> None:
        """End the daemon as a crash does: it says goodbye to nobody."""
        self.check_log()
        self.daemon.kill()

    def check_log(self) -> None:
        assert "Traceback" not in self.daemon.log, self.daemon.log


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    chat = Chat(tmp_path_factory.mktemp("chat"))
    chat.manage("migrate", "--verbosity=0")
    chat.manage("demo")
    chat.start()
    try:
        yield chat
        chat.check_log()
        chat.daemon.stop()
    finally:
        chat.daemon.kill()


@pytest.fixture(scope="module")
def demo(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with open_window(chat.url, tmp_path_factory.mktemp("demo")) as window:
        log_in(window, "demo")
        yield window


@pytest.fixture(scope="module")
def ada(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with open_window(chat.url, tmp_path_factory.mktemp("ada")) as window:
        log_in(window, "ada")
        yield window


numbers = itertools.count(1)


@pytest.fixture
def room(demo: Window, ada: Window) -> str:
    """The path of a new room, with both of them in it."""
    name = f"Room {next(numbers)}"
    demo.open("/")
    demo.fill(name=name, topic="A test")
    assert demo.find(".room .notice").text == f"“{name}” is open. Invite somebody!"
    path = demo.path
    for window in (demo, ada):
        enter(window, path)
    for window in (demo, ada):
        wait_for_people(window, "ada", "demo")
    return path


def log_in(window: Window, name: str) -> None:
    window.open("/log-in/")
    window.fill(username=name, password=name)
    wait_for_path(window, "/")


def enter(window: Window, path: str) -> None:
    window.open(path)
    wait_for_connection(window)


def wait_for_path(window: Window, path: str) -> None:
    window.wait_to_show(lambda: window.path, path)


def wait_for_connection(window: Window) -> None:
    window.find("#status[data-state=open]")
    window.find("#log[aria-busy=false]")


def say(window: Window, text: str) -> None:
    window.find("#text").send_keys(text)
    window.press("#composer button")


def said(window: Window) -> list[str]:
    return window.texts("#said .text")


def wait_for_said(window: Window, *texts: str) -> None:
    window.wait_to_show(lambda: said(window), list(texts))


def people(window: Window) -> list[str]:
    return [name.removesuffix(" (you)") for name in window.texts("#who .name")]


def wait_for_people(window: Window, *names: str) -> None:
    window.wait_to_show(lambda: people(window), list(names))


def take_picture(window: Window, name: str) -> None:
    """Keep what the window shows; nothing may stick out at its side."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    window.driver.save_screenshot(PICTURES / f"{name}.png")
    overflow = "return document.documentElement.scrollWidth - innerWidth"
    assert window.script(overflow) <= 0, name


def exchange(window: Window, path: str, *frames: str) -> list[dict[str, object]]:
    """Send *frames* over a socket of the window's page; return as many ``error`` frames."""
    script = """
        const [path, frames, done] = arguments;
        const socket = new WebSocket(location.origin.replace("http", "ws") + path);
        const errors = [];
        socket.onopen = () => frames.forEach((frame) => socket.send(frame));
        socket.onmessage = ({data}) => {
          if (JSON.parse(data).type !== "error") return;
          errors.push(data);
          if (errors.length === frames.length) { socket.close(); done(errors); }
        };
        socket.onclose = () => done(errors);
    """
    errors = window.driver.execute_async_script(script, path, frames)
    return [json.loads(error) for error in errors]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "size"), [("phone", PHONE), ("desktop", DESKTOP)])
def test_pages_fit_the_screen(
    device: str, size: tuple[int, int], scheme: str, demo: Window, ada: Window
) -> None:
    demo.resize(*size, scheme)
    enter(ada, "/rooms/lobby/")
    enter(demo, "/rooms/lobby/")
    wait_for_people(demo, "ada", "demo")
    take_picture(demo, f"room-{device}-{scheme}")
    demo.open("/")
    take_picture(demo, f"lobby-{device}-{scheme}")


def test_a_message_appears_in_both_windows(room: str, demo: Window, ada: Window) -> None:
    say(demo, "Hello, Ada!")
    wait_for_said(ada, "Hello, Ada!")
    say(ada, "Hello yourself.")
    for window in (demo, ada):
        wait_for_said(window, "Hello, Ada!", "Hello yourself.")
    assert demo.texts("#said .mine .text") == ["Hello, Ada!"]
    assert ada.texts("#said .mine .text") == ["Hello yourself."]
    assert ada.texts("#said .day")[0] == "Today"


def test_a_room_sees_that_somebody_types(room: str, demo: Window, ada: Window) -> None:
    demo.find("#text").send_keys("I am thin")
    ada.wait(lambda: ada.texts("#typing") == ["demo is typing…"], "typing")
    demo.find("#text").send_keys("king.\n")
    wait_for_said(ada, "I am thinking.")
    assert ada.texts("#typing") == [""]
    assert demo.texts("#typing") == [""]


def test_a_room_does_not_hear_another_one(room: str, demo: Window, ada: Window) -> None:
    enter(ada, "/rooms/lobby/")
    wait_for_people(demo, "demo")
    before = said(ada)
    say(demo, "Is anybody here?")
    wait_for_said(demo, "Is anybody here?")
    say(ada, "In the lobby")
    wait_for_said(ada, *before, "In the lobby")
    wait_for_said(demo, "Is anybody here?")


def test_somebody_with_two_tabs_is_here_until_both_are_closed(
    room: str, demo: Window, ada: Window
) -> None:
    [first] = ada.driver.window_handles
    ada.driver.switch_to.new_window("tab")
    enter(ada, room)
    wait_for_people(ada, "ada", "demo")
    ada.driver.close()
    ada.driver.switch_to.window(first)
    say(ada, "Still here")
    wait_for_said(demo, "Still here")
    assert people(demo) == ["ada", "demo"]
    ada.open("/")
    wait_for_people(demo, "demo")


def test_the_back_button_leads_back_into_the_conversation(
    room: str, demo: Window, ada: Window
) -> None:
    ada.open("/")
    wait_for_people(demo, "demo")
    say(demo, "Come back!")
    wait_for_said(demo, "Come back!")
    ada.driver.back()
    wait_for_said(ada, "Come back!")
    wait_for_people(demo, "ada", "demo")
    say(ada, "Here I am.")
    wait_for_said(demo, "Come back!", "Here I am.")


def test_the_lobby_shows_who_is_in_a_room(room: str, demo: Window, ada: Window) -> None:
    ada.open("/")
    wait_for_people(demo, "demo")
    card = f"//li[.//a[@href='{room}']]"
    ada.driver.refresh()
    assert "1 here now" in ada.driver.find_element("xpath", card).text


def test_markup_in_a_message_stays_text(room: str, demo: Window, ada: Window) -> None:
    attack = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
    say(demo, attack)
    wait_for_said(ada, attack)
    ada.driver.refresh()
    wait_for_said(ada, attack)
    for window in (demo, ada):
        assert window.script("return window.broken") is None
        assert window.texts("#said script, #said img") == []
    ada.open("/")
    assert "<script>" in ada.driver.find_element("xpath", f"//li[.//a[@href='{room}']]").text


def test_only_web_addresses_become_links(room: str, demo: Window, ada: Window) -> None:
    say(demo, "See https://example.com/a?b=c, not javascript:alert(1).")
    wait_for_said(ada, "See https://example.com/a?b=c, not javascript:alert(1).")
    links = ada.script("return [...document.querySelectorAll('#said a')].map((a) => a.href)")
    assert links == ["https://example.com/a?b=c"]


def test_a_reload_shows_the_history(room: str, demo: Window, ada: Window) -> None:
    say(demo, "One")
    wait_for_said(demo, "One")
    say(demo, "Two")
    wait_for_said(ada, "One", "Two")
    ada.driver.refresh()
    wait_for_said(ada, "One", "Two")
    wait_for_people(ada, "ada", "demo")


def test_a_long_history_comes_by_pages(chat: Chat, room: str, demo: Window, ada: Window) -> None:
    slug = room.split("/")[2]
    chat.manage(
        "shell",
        "-c",
        "import uuid; from django.contrib.auth.models import User; from rooms.models import *;"
        f"room, ada = Room.objects.get(slug='{slug}'), User.objects.get(username='ada');"
        "[room.messages.create(author=ada, text=str(n), nonce=uuid.uuid4()) for n in range(70)]",
    )
    demo.driver.refresh()
    wait_for_said(demo, *map(str, range(20, 70)))
    demo.press("#earlier")
    wait_for_said(demo, *map(str, range(70)))
    assert not demo.find("#earlier").is_displayed()


def test_everybody_chats_on_after_the_daemon_was_killed(
    chat: Chat, room: str, demo: Window, ada: Window
) -> None:
    say(demo, "Before")
    wait_for_said(ada, "Before")
    chat.kill()
    for window in (demo, ada):
        window.find("#status[data-state=waiting]")
    say(demo, "Is it down?")
    say(demo, "I think so.")
    say(ada, "Yes.")
    assert demo.texts("#unsent .text") == ["Is it down?", "I think so."]
    demo.resize(*PHONE)
    take_picture(demo, "room-reconnecting-phone")

    chat.start()
    for window in (demo, ada):
        wait_for_connection(window)
        wait_for_people(window, "ada", "demo")
        window.wait(lambda window=window: len(said(window)) == 4, "what was written meanwhile")
        assert window.texts("#unsent .text") == []
    assert said(demo) == said(ada)
    assert [text for text in said(ada) if text != "Yes."] == [
        "Before",
        "Is it down?",
        "I think so.",
    ]
    say(ada, "After")
    wait_for_said(demo, *said(ada)[:4], "After")


def test_what_was_missed_meanwhile_is_caught_up_without_a_reload(
    room: str, demo: Window, ada: Window
) -> None:
    say(demo, "Seen")
    wait_for_said(ada, "Seen")
    ada.driver.set_network_conditions(offline=True, latency=0, throughput=0)
    try:
        ada.script("dispatchEvent(new Event('offline'))")
        ada.find("#status[data-state=waiting]")
        wait_for_people(demo, "demo")
        say(demo, "Missed")
        wait_for_said(demo, "Seen", "Missed")
    finally:
        ada.driver.delete_network_conditions()
    wait_for_said(ada, "Seen", "Missed")
    wait_for_people(demo, "ada", "demo")


def test_the_newest_list_of_people_stays_whatever_arrives_after_it(room: str, demo: Window) -> None:
    """Ada's arrival may be told to everybody before demo's own consumer has returned."""
    tell_out_of_order = """
        const people = (version, ...names) => ({
          type: "people",
          version,
          people: names.map((name) => ({ name, initials: name[0], hue: 1 })),
        });
        window.WebSocket = class {
          static OPEN = 1;
          readyState = 1;
          constructor() { setTimeout(() => this.tell()); }
          close() {}
          tell() {
            this.onopen();
            for (const frame of [
              people(6e9, "ada", "demo"),
              { type: "history", messages: [], earlier: false },
              people(5e9, "demo"),
            ]) this.onmessage({ data: JSON.stringify(frame) });
            document.body.dataset.told = "true";
          }
        };
        dispatchEvent(new Event("offline"));
    """
    demo.script(tell_out_of_order)
    demo.find("body[data-told=true]")
    assert people(demo) == ["ada", "demo"]


def test_nonsense_is_answered_politely(room: str, demo: Window, ada: Window) -> None:
    nonce = "0123456789abcdef" * 2
    errors = exchange(
        demo,
        room,
        "nonsense",
        "[" * 50_000,
        "[]",
        '{"type": "shout"}',
        '{"type": "say", "text": "no nonce"}',
        json.dumps({"type": "say", "nonce": nonce, "text": " "}),
        json.dumps({"type": "say", "nonce": nonce, "text": "x" * 2001}),
        json.dumps({"type": "say", "nonce": nonce, "text": "\ud800"}),
        json.dumps({"type": "say", "nonce": nonce, "text": 5}),
    )
    assert len(errors) == 9
    assert all(error["reason"] for error in errors)
    assert [error["nonce"] for error in errors] == [None] * 5 + [nonce] * 4
    say(ada, "Business as usual")
    wait_for_said(demo, "Business as usual")


def test_who_is_not_logged_in_gets_no_page_and_no_socket(chat: Chat) -> None:
    answer = httpx.get(f"{chat.url}/rooms/lobby/", timeout=WAIT_SECONDS)
    assert answer.status_code == 302
    assert answer.headers["location"] == "/log-in/?next=/rooms/lobby/"
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{chat.url}/rooms/lobby/".replace("http", "ws"))
    assert refused.value.response.status_code == 403


def test_a_new_user_signs_up_and_logging_out_closes_every_tab(chat: Chat, tmp_path: Path) -> None:
    with open_window(chat.url, tmp_path / "new") as new:
        new.open("/sign-up/")
        new.fill(username="grace.hopper", password1="cobol-1959", password2="cobol-1959")
        assert new.find(".lobby .notice").text == "Welcome, grace.hopper!"
        enter(new, "/rooms/lobby/")
        new.wait(lambda: "grace.hopper" in people(new), "her name")
        tab = new.driver.current_window_handle
        new.driver.switch_to.new_window("tab")
        new.open("/")
        new.press(".account button")
        wait_for_path(new, "/log-in/")
        new.driver.switch_to.window(tab)
        wait_for_path(new, "/log-in/")


@pytest.mark.parametrize(("device", "size"), [("phone", PHONE), ("desktop", DESKTOP)])
def test_the_door_fits_the_screen(
    device: str, size: tuple[int, int], chat: Chat, tmp_path: Path
) -> None:
    with open_window(chat.url, tmp_path / "nobody") as nobody:
        nobody.resize(*size)
        for path in ("log-in", "sign-up"):
            nobody.open(f"/{path}/")
            take_picture(nobody, f"{path}-{device}")
