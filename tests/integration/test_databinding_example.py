"""examples/databinding as people use it: a real daemon, and one list in two browsers.

The pictures that are taken on the way are kept in build/screenshots.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.integration.browser import Window, open_window
from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon, bare_environment

EXAMPLE = ROOT / "examples" / "databinding"
PICTURES = ROOT / "build" / "screenshots"

PHONE = (390, 844)
DESKTOP = (1280, 800)

ROUNDS = 40

pytestmark = pytest.mark.slow


class Site:
    """The list with a database of its own; its daemon can be killed and started again.

    Args:
        folder: Where the database is.
    """

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self.rows: list[Any] = []
        self.database = folder / "list.sqlite3"
        self.environment = {
            "DATABINDING_DATABASE": str(self.database),
            "DATABINDING_SECRET_KEY": "of-the-tests",
        }

    @property
    def url(self) -> str:
        return self.daemon.url

    def manage(self, *arguments: str) -> str:
        """Run a management command; returns what it has printed."""
        finished = subprocess.run(
            [sys.executable, EXAMPLE / "manage.py", *arguments],
            env=bare_environment(**self.environment),
            check=True,
            timeout=WAIT_SECONDS,
            stdout=subprocess.PIPE,
            text=True,
        )
        return finished.stdout

    def reset(self) -> None:
        """Have the demo's list again. The windows are not told: they load it anew."""
        with (
            closing(sqlite3.connect(self.database, timeout=WAIT_SECONDS)) as connection,
            connection,
        ):
            connection.execute("DELETE FROM shopping_item")
            connection.executemany("INSERT INTO shopping_item VALUES (?, ?, ?, ?, ?)", self.rows)

    def make_demo(self) -> None:
        """Run `manage.py demo`, and know what it has made."""
        self.manage("demo")
        with closing(sqlite3.connect(self.database)) as connection:
            self.rows = connection.execute("SELECT * FROM shopping_item").fetchall()

    def start(self) -> None:
        """Start the daemon, on the port that it had before, and wait until it listens."""
        options = (f"--pythonpath={EXAMPLE}", f"--port={self.port}", "--threads=4")
        self.daemon = Daemon("databinding.settings", *options, environment=self.environment).start()
        self.port = self.daemon.port

    def kill(self) -> None:
        """End the daemon as a crash does: it says goodbye to nobody."""
        self.check_log()
        self.daemon.kill()

    def check_log(self) -> None:
        assert "Traceback" not in self.daemon.log, self.daemon.log


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("list"))
    site.manage("migrate", "--verbosity=0")
    site.make_demo()
    site.start()
    try:
        yield site
        site.check_log()
        site.daemon.stop()
    finally:
        site.daemon.kill()


@pytest.fixture(scope="module")
def windows(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Window, ...]]:
    with (
        open_window(site.url, tmp_path_factory.mktemp("one")) as one,
        open_window(site.url, tmp_path_factory.mktemp("two")) as two,
    ):
        yield one, two


DEMO = ["Bread", "Tomatoes", "Coffee", "Lemons", "Candles"]


@pytest.fixture
def one(site: Site, windows: tuple[Window, ...]) -> Window:
    """A window with the demo's list; `two` shows it, too."""
    site.reset()
    for window in windows:
        window.resize(*DESKTOP)
        show(window)
    return windows[0]


@pytest.fixture
def two(one: Window, windows: tuple[Window, ...]) -> Window:
    return windows[1]


def show(window: Window) -> None:
    window.open("/")
    wait_for_list(window)


def wait_for_list(window: Window) -> None:
    window.find("#status[data-state=open]")
    window.find("#items[aria-busy=false]")


def look(window: Window) -> list[list[Any]]:
    """The list as it is shown: name, amount, ticked."""
    script = """
        return [...document.querySelectorAll("#items li")].map((row) => [
          row.querySelector(".name").value,
          Number(row.querySelector("output").value),
          row.querySelector(".done").checked && row.classList.contains("ticked"),
        ]);
    """
    return window.script(script)


def names(window: Window) -> list[str]:
    return [name for name, _, _ in look(window)]


def row(name: str, part: str) -> str:
    """An XPath of a part of the row that is called so; its checkbox says its name."""
    return f"//li[.//input[@aria-label='Have {name}']]//*[contains(@class, '{part}')]"


def press(window: Window, name: str, part: str) -> None:
    window.wait(lambda: window.driver.find_elements("xpath", row(name, part)), name)
    window.driver.find_element("xpath", row(name, part)).click()


def rename(window: Window, old: str, new: str) -> None:
    field = window.driver.find_element("xpath", row(old, "name"))
    field.send_keys(Keys.CONTROL + "a" + Keys.NULL + new + "\n")


def add(window: Window, name: str, amount: str = "1") -> None:
    window.fill(name=name, amount=amount)


def wait_for_row(window: Window, *wanted: Any) -> None:
    window.wait(lambda: list(wanted) in look(window), f"{wanted}; there is {look(window)}")


def take_picture(window: Window, name: str) -> None:
    """Keep what the window shows; nothing may stick out at its side."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    window.driver.save_screenshot(PICTURES / f"{name}.png")
    overflow = "return document.documentElement.scrollWidth - innerWidth"
    assert window.script(overflow) <= 0, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "size"), [("phone", PHONE), ("desktop", DESKTOP)])
def test_the_page_fits_the_screen(
    device: str, size: tuple[int, int], scheme: str, one: Window, two: Window
) -> None:
    one.resize(*size, scheme)
    add(two, "A very long name, with which there is hardly any place left")
    one.wait(lambda: len(look(one)) == 6, "the sixth")
    press(two, "Lemons", "more")
    wait_for_row(one, "Lemons", 4, False)
    add(one, "Bread")
    one.wait(lambda: "already" in one.find("#problem").text, "why")
    take_picture(one, f"databinding-{device}-{scheme}")


def test_the_demo_list_is_made_once(site: Site, one: Window) -> None:
    site.manage("demo")
    show(one)
    assert names(one) == DEMO
    assert one.texts("#count") == ["2 of 5 in the basket"]


def test_what_is_added_appears_in_the_other_window(one: Window, two: Window) -> None:
    add(one, "Flour", "3")
    wait_for_row(two, "Flour", 3, False)
    wait_for_row(one, "Flour", 3, False)
    assert two.texts("#announcement") == ["Flour was added"]
    assert one.find("#new-name").get_property("value") == ""


def test_edits_appear_in_the_other_window(one: Window, two: Window) -> None:
    press(one, "Coffee", "done")
    wait_for_row(two, "Coffee", 2, True)
    press(two, "Coffee", "more")
    wait_for_row(one, "Coffee", 3, True)
    rename(one, "Coffee", "Decaf")
    wait_for_row(two, "Decaf", 3, True)
    press(two, "Decaf", "done")
    wait_for_row(one, "Decaf", 3, False)
    assert names(one) == names(two)
    assert two.texts("#count") == ["2 of 5 in the basket"]


def test_what_is_removed_disappears_from_the_other_window(one: Window, two: Window) -> None:
    press(one, "Bread", "remove")
    two.wait_to_show(lambda: names(two), DEMO[1:])
    for name in DEMO[1:]:
        press(two, name, "remove")
    one.wait_to_show(lambda: names(one), [])
    assert one.find("#empty").is_displayed()
    assert two.texts("#announcement") == ["Candles was removed"]


def test_two_people_edit_the_same_row_at_once(one: Window, two: Window) -> None:
    """Each changes another part of it, again and again; nothing is lost, and both agree."""
    for _ in range(5):
        press(one, "Lemons", "more")
        press(two, "Tomatoes", "less")
        press(one, "Tomatoes", "done")
        press(two, "Lemons", "done")
    for window in (one, two):
        wait_for_row(window, "Lemons", 8, True)
        wait_for_row(window, "Tomatoes", 1, True)


def test_of_changes_to_one_row_none_undoes_another(site: Site) -> None:
    """One client counts the amount up, another one the name."""
    site.reset()
    pk = site.rows[0][0]
    with ExitStack() as stack:
        url = f"{site.url}/live/".replace("http", "ws")
        options = {"open_timeout": WAIT_SECONDS, "proxy": None}
        sockets = [stack.enter_context(connect(url, **options)) for _ in range(2)]
        for number in range(1, ROUNDS + 1):
            for socket, data in zip(sockets, [{"amount": number}, {"name": number}], strict=True):
                payload = {"action": "update", "pk": pk, "data": data}
                socket.send(json.dumps({"stream": "items", "payload": payload}))
        told = [
            [json.loads(socket.recv(WAIT_SECONDS))["payload"]["data"] for _ in range(2 * ROUNDS)]
            for socket in sockets
        ]
    for rows in told:
        rows.sort(key=lambda row: row["version"])
        assert rows[-1] == {
            "name": str(ROUNDS),
            "amount": ROUNDS,
            "done": True,
            "version": 2 * ROUNDS,
        }
        for field in ("amount", "name"):
            counted = [int(row[field]) for row in rows if str(row[field]).isdecimal()]
            assert counted == sorted(counted), field


@pytest.mark.parametrize(
    "frame",
    [
        b"{}",
        "nonsense",
        '{"stream": "items", "payload": {}}',
        '{"stream": "items", "payload": {"action": "explode", "pk": 1, "data": {}}}',
        '{"stream": "items", "payload": {"action": "update", "pk": [1], "data": {}}}',
        '{"stream": "items", "payload": {"action": "create", "data": "Flour"}}',
    ],
)
def test_nonsense_closes_its_own_socket_alone(site: Site, frame: bytes | str) -> None:
    url = f"{site.url}/live/".replace("http", "ws")
    options = {"open_timeout": WAIT_SECONDS, "proxy": None}
    with connect(url, **options) as bystander, connect(url, **options) as client:
        client.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(WAIT_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == (1003 if isinstance(frame, bytes) else 1007)
        payload = {"action": "update", "pk": 10**30, "data": {}}
        bystander.send(json.dumps({"stream": "items", "payload": payload}))
        assert json.loads(bystander.recv(WAIT_SECONDS))["payload"]["action"] == "delete"
    site.check_log()


def test_what_somebody_is_typing_is_left_alone(one: Window, two: Window) -> None:
    field = one.driver.find_element("xpath", row("Bread", "name"))
    field.send_keys(" and but")
    rename(two, "Bread", "Rolls")
    press(two, "Rolls", "more")
    one.wait(lambda: ["Bread and but", 2, True] in look(one), "the count beside the text")
    field.send_keys("ter\n")
    for window in (one, two):
        wait_for_row(window, "Bread and butter", 2, True)


def test_escape_takes_back_what_was_typed(one: Window, two: Window) -> None:
    field = one.driver.find_element("xpath", row("Bread", "name"))
    field.send_keys("fruit")
    rename(two, "Bread", "Rolls")
    one.wait(lambda: one.driver.find_elements("xpath", row("Rolls", "name")), "its new name")
    field.send_keys(Keys.ESCAPE)
    wait_for_row(one, "Rolls", 1, True)
    press(two, "Rolls", "more")
    wait_for_row(one, "Rolls", 2, True)
    assert "Breadfruit" not in names(two)


def test_a_reload_shows_the_list_as_it_is(one: Window, two: Window) -> None:
    add(one, "Flour", "3")
    press(one, "Bread", "remove")
    wait_for_row(one, "Flour", 3, False)
    one.driver.refresh()
    wait_for_list(one)
    one.wait_to_show(lambda: names(one), [*DEMO[1:], "Flour"])
    press(one, "Flour", "done")
    wait_for_row(two, "Flour", 3, True)


@pytest.mark.parametrize(
    ("name", "amount", "problem"),
    [
        ("", "1", "Write what it is."),
        ("   ", "1", "Write what it is."),
        ("Bread", "1", "That is on the list already."),
        ("Flour", "0", "Buy at least one."),
        ("Flour", "100", "Buy at most 99."),
        ("Flour", "", "Say how many."),
        ("Flour", "1.5", "Enter a valid value."),
    ],
)
def test_a_new_thing_that_will_not_do_is_refused_with_a_reason_and_given_back(
    one: Window, two: Window, name: str, amount: str, problem: str
) -> None:
    add(one, name, amount)
    one.wait(lambda: one.find("#problem").text == problem, problem)
    assert one.find("#new-name").get_property("value").strip() == name.strip()
    assert one.find("#new-amount").get_property("value") == amount
    add(one, "Flour", "3")
    wait_for_row(two, "Flour", 3, False)
    assert len(look(two)) == 6
    assert not one.find("#problem").is_displayed()


BLANK = "Write what it is."
UNREADABLE = "Use no characters that control or turn the text."


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Bread\N{RIGHT-TO-LEFT OVERRIDE}", UNREADABLE),
        ("\N{FIRST STRONG ISOLATE}Bread", UNREADABLE),
        ("Br\aead", UNREADABLE),
        ("Br\N{LINE SEPARATOR}ead", UNREADABLE),
        ("\x1b", UNREADABLE),
        ("\t", BLANK),
        ("", BLANK),
        (None, "This field cannot be null."),
        ("Bread\0", "Enter a valid value."),
        ("Bread\ud800", "Enter a valid value."),
        (61 * "x", "Ensure this value has at most 60 characters (it has 61)."),
    ],
)
def test_a_name_is_refused_with_one_reason(site: Site, name: str | None, problem: str) -> None:
    site.reset()
    url = f"{site.url}/live/".replace("http", "ws")
    with connect(url, open_timeout=WAIT_SECONDS, proxy=None) as socket:
        data = {"name": name, "amount": 1}
        for action, pk in (("create", None), ("update", site.rows[0][0])):
            payload = {"action": action, "pk": pk, "data": data}
            socket.send(json.dumps({"stream": "items", "payload": payload}))
            answer = json.loads(socket.recv(WAIT_SECONDS))["payload"]
            assert (answer["action"], answer["errors"]) == ("error", {"name": [problem]})


def test_names_of_any_language_are_taken(site: Site) -> None:
    site.reset()
    names = [
        "\u05dc\u05d7\u05dd",
        "\u062e\u0628\u0632",
        "\N{MAN}\N{ZERO WIDTH JOINER}\N{COOKING}",
        "Caf\u00e9",
    ]
    with connect(f"{site.url}/live/".replace("http", "ws"), proxy=None) as socket:
        for name in names:
            payload = {"action": "create", "pk": None, "data": {"name": name, "amount": 1}}
            socket.send(json.dumps({"stream": "items", "payload": payload}))
            assert json.loads(socket.recv(WAIT_SECONDS))["payload"]["data"]["name"] == name


def test_the_migration_is_that_of_the_model(site: Site) -> None:
    assert "No changes detected" in site.manage("makemigrations", "--check", "--dry-run")


def test_an_edit_that_will_not_do_is_refused_with_a_reason_and_taken_back(
    one: Window, two: Window
) -> None:
    before = look(two)
    press(one, "Bread", "less")
    one.wait(lambda: "Buy at least one." in one.texts("#items .error"), "why")
    wait_for_row(one, "Bread", 1, True)
    rename(one, "Coffee", "Lemons")
    one.wait(lambda: "That is on the list already." in one.texts("#items .error"), "why")
    one.wait_to_show(lambda: look(one), before)
    assert look(two) == before
    press(one, "Coffee", "more")
    wait_for_row(two, "Coffee", 3, False)
    one.wait(lambda: len(one.texts("#items .wrong")) == 1, "the end of its error, not of Bread's")


def test_a_row_that_somebody_else_has_removed_meanwhile_just_goes(
    site: Site, one: Window, two: Window
) -> None:
    """From a program of its own, which nobody's page hears of: the layer is in memory."""
    code = "from shopping.models import Item; Item.objects.get(name='Bread').delete()"
    site.manage("shell", "-c", code)
    press(one, "Bread", "more")
    one.wait_to_show(lambda: names(one), DEMO[1:])


def test_markup_stays_text(one: Window, two: Window) -> None:
    attack = "<img src=x onerror='window.broken = 1'>"
    add(one, attack)
    wait_for_row(two, attack, 1, False)
    for window in (one, two):
        assert window.script("return window.broken") is None
        assert window.texts("#items img") == []


def test_the_list_goes_on_after_the_daemon_was_killed(site: Site, one: Window, two: Window) -> None:
    site.kill()
    for window in (one, two):
        window.find("#status[data-state=waiting]")
    press(one, "Coffee", "done")
    press(two, "Bread", "remove")
    one.resize(*PHONE)
    take_picture(one, "databinding-offline-phone")
    site.start()
    for window in (one, two):
        window.find("#status[data-state=open]")
        wait_for_row(window, "Coffee", 2, True)
        window.wait_to_show(lambda window=window: names(window), DEMO[1:])


def test_changes_that_arrive_in_the_wrong_order_end_up_right(one: Window) -> None:
    pk = int(one.find("#items li").get_attribute("data-pk"))
    told = [
        {"action": "update", "pk": pk, "data": row_data("later", 7)},
        {"action": "update", "pk": pk, "data": row_data("earlier", 6)},
        {"action": "delete", "pk": pk + 1, "data": {}},
        {"action": "update", "pk": pk + 1, "data": row_data("ghost", 9)},
    ]
    code = """
        const sockets = [];
        window.WebSocket = class {
          static OPEN = 1;
          readyState = 1;
          constructor() { sockets.push(this); setTimeout(() => this.onopen()); }
          close() {}
          send() {}
        };
        window.tell = (payloads) => {
          for (const payload of payloads) {
            const data = JSON.stringify({ stream: "items", payload });
            sockets.at(-1).onmessage({ data });
          }
        };
        dispatchEvent(new Event("offline"));
        dispatchEvent(new Event("online"));
    """
    one.script("document.querySelector('#items').ariaBusy = 'true'")
    one.script(code)
    wait_for_list(one)
    one.script("window.tell(arguments[0])", told)
    one.wait_to_show(lambda: names(one), ["later", *DEMO[2:]])


def row_data(name: str, version: int) -> dict[str, Any]:
    return {"name": name, "amount": 1, "done": False, "version": version}
