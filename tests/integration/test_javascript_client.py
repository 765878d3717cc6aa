"""WebSocketBridge in a real Chromium, against a real daemon; and the files that are served."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.integration.browser import Window, open_window
from tests.integration.daemon import ROOT, WAIT_SECONDS, Daemon

SITE = "tests.integration.javascript_site.settings"
FILES = [
    "websocketbridge.js",
    "websocketbridge.min.js",
    "websocketbridge.module.js",
    "websocketbridge.module.min.js",
]
#: What the tests run with, where they do not say which.
SERVED = "websocketbridge.module.min.js"

#: So that only an event of the page, or of the test, ends a wait.
FOREVER = {"minReconnectionDelay": 1e8, "maxReconnectionDelay": 1e8, "restartDelay": 1e8}
SOON = {"minReconnectionDelay": 20, "maxReconnectionDelay": 100}

pytestmark = pytest.mark.slow


class Site(Daemon):
    """A daemon that can be started again on its port."""

    def __init__(self) -> None:
        super().__init__(SITE, "--threads=16")

    def check_log(self) -> None:
        assert "Traceback" not in self.log, self.log

    def start_again(self) -> None:
        self.check_log()
        self.options = [one for one in self.options if not one.startswith("--port")]
        self.options.append(f"--port={self.port}")
        self._is_log_complete = False
        self._lines.clear()
        self.start()

    @property
    def notes(self) -> Any:
        return httpx.get(f"{self.url}/notes/", timeout=WAIT_SECONDS).json()


class Page(Window):
    """A window on the site's page; `log` has the events of the bridge that `make` makes."""

    def go(self, file: str = SERVED) -> None:
        self.open(f"/page/{file}")
        self.find("html[data-ready=true]")

    def make(self, url: str | None, options: dict[str, Any] | None = None, *more: Any) -> None:
        make = "const [url, ...more] = arguments; make(url ?? undefined, ...more)"
        self.script(make, url, options, *more)

    def open_socket(self, url: str | None, options: dict[str, Any] | None = None) -> None:
        self.make(url, options)
        self.wait_for(["open"])

    def send(self, *messages: Any) -> list[bool]:
        return self.script("return arguments[0].map((one) => bridge.send(one))", messages)

    def log(self, *types: str) -> list[list[Any]]:
        log = self.script("return log")
        return [event for event in log if not types or event[0] in types]

    @property
    def payloads(self) -> list[Any]:
        return [event[1] for event in self.log("message")]

    def wait_for(self, *events: list[Any]) -> None:
        """Wait until the log has each of *events*."""
        self.wait_to_show(lambda: [one for one in events if one not in self.log()], [])

    def wait_for_payloads(self, *payloads: Any) -> None:
        self.wait_to_show(lambda: self.payloads, list(payloads))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site
        site.check_log()
        assert site.stop() == 0


@pytest.fixture(scope="module")
def window(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with open_window(site.url, tmp_path_factory.mktemp("browser")) as window:
        yield window


@pytest.fixture
def page(window: Window) -> Iterator[Page]:
    page = Page(window.driver, window.base)
    page.go()
    yield page
    assert page.script("return window.errors ?? []") == []


@pytest.fixture
def fake(page: Page) -> Page:
    """The page without time and network: see `fakeAll` in page.js."""
    page.script("fakeAll()")
    return page


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of nobody, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "nobody.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + made.public_bytes(Encoding.PEM))
    return pem


# The API of Channels 1


@pytest.mark.parametrize("file", FILES)
def test_each_served_file_has_a_bridge_that_talks(file: str, page: Page) -> None:
    page.go(file)
    page.open_socket("/echo/")
    page.send({"hello": "w\xf6rld"}, [1, None], "text", 5)
    page.wait_for_payloads({"hello": "w\xf6rld"}, [1, None], "text", 5)


@pytest.mark.parametrize("file", FILES[:2])
def test_the_plain_script_has_the_name_of_channels_1_and_no_other(file: str, page: Page) -> None:
    page.open("/elsewhere")
    page.script("window.before = new Set(Object.getOwnPropertyNames(window))")
    page.script("window.channels = { own: 1 }")
    page.driver.execute_async_script(
        "const script = document.createElement('script'); script.onload = arguments[1];"
        "script.src = arguments[0]; document.head.append(script);",
        f"/static/txchannels/{file}",
    )
    assert page.script("return [channels.own, typeof channels.WebSocketBridge]") == [1, "function"]
    named = "return Object.getOwnPropertyNames(window).filter((name) => !before.has(name))"
    # The driver leaves ret_nodes.
    assert set(page.script(named)) <= {"before", "channels", "ret_nodes"}


def test_a_program_of_channels_1_runs(page: Page) -> None:
    program = """
        window.heard = [];
        const hear = (name) => (payload, stream) => heard.push([name, payload, stream]);
        const bridge = new Bridge({ onopen: () => heard.push(["onopen"]) });
        bridge.connect("/streams/");
        bridge.listen(hear("default"));
        bridge.demultiplex("one", hear("one"));
        bridge.demultiplex("two", hear("two"));
        bridge.socket.addEventListener("open", () => {
          heard.push(["open"]);
          bridge.stream("one").send({ a: 1 });
          bridge.stream("nobody").send({ b: 2 });
          bridge.stream("constructor").send({ c: 3 });
          bridge.stream("two").send(null);
          bridge.send({ d: 4 });
          bridge.send(null);
        });
        window.bridge = bridge;
    """
    page.script(program)
    wanted = [
        ["open"],
        ["onopen"],
        ["one", {"echo": {"a": 1}}, "one"],
        ["two", {"echo": None}, "two"],
        ["default", {"echo": {"d": 4}}, None],
        ["default", {"echo": None}, None],
    ]
    page.wait_to_show(lambda: page.script("return heard"), wanted)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (None, "/"),
        ("/echo/", "/echo/"),
        ("/echo/?a=b#c", "/echo/?a=b"),
        ("relative/", "/page/relative/"),
        ("ws://{host}/echo/", "/echo/"),
        ("http://{host}/echo/", "/echo/"),
        ("//{host}/echo/", "/echo/"),
    ],
)
def test_urls_are_relative_to_the_page(url: str | None, path: str, page: Page) -> None:
    host = page.base.removeprefix("http://")
    page.open_socket(url and url.format(host=host))
    assert page.script("return bridge.socket.url") == f"ws://{host}{path}"
    page.send("here")
    page.wait_for_payloads("here")


def test_a_page_of_https_has_wss(page: Page, certificate: Path) -> None:
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={certificate}"
    page.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
    site = Daemon(SITE, f"--endpoint={endpoint}").start(until="Listening on https://")
    try:
        port = site.wait_for("Listening on https://").rstrip().rstrip("/").rpartition(":")[2]
        page.driver.get(f"https://127.0.0.1:{port}/page/{SERVED}")
        page.find("html[data-ready=true]")
        page.open_socket("/echo/")
        assert page.script("return bridge.socket.url") == f"wss://127.0.0.1:{port}/echo/"
        page.send("in secret")
        page.wait_for_payloads("in secret")
        page.go()
    finally:
        site.kill()


def test_a_function_says_url_and_protocols_before_each_attempt(page: Page) -> None:
    page.script("let asked = 0; make(() => `/query/?n=${++asked}`, {}, () => [])")
    page.wait_for_payloads("n=1")
    page.script("bridge.reconnect()")
    page.wait_for_payloads("n=1", "n=2")


def test_a_subprotocol_is_negotiated(page: Page) -> None:
    page.make("/protocol/", {}, ["v1", "v2"])
    page.wait_for(["open"])
    assert page.script("return bridge.socket.protocol") == "v2"


def test_a_wrong_use_is_refused_at_once(page: Page) -> None:
    name = "try { %s; return 'nothing' } catch (error) { return error.name }"
    assert page.script(name % "new Bridge().send(1)") == "TypeError"
    assert page.script(name % "new Bridge().stream('a').send(1)") == "TypeError"
    assert page.script(name % "new Bridge().connect('ftp://a/')") == "SyntaxError"
    assert page.script(name % "new Bridge().connect('/', ['a', 'a'])") == "SyntaxError"
    page.open_socket("/echo/")
    assert page.script(name % "bridge.send(undefined)") == "TypeError"
    assert page.script(name % "bridge.close(1001)") == "InvalidAccessError"
    assert page.script("return [bridge.socket.readyState, log]") == [1, [["open"]]]


def test_a_second_connect_takes_the_place_of_the_first(page: Page) -> None:
    page.open_socket("/echo/")
    page.script("bridge.connect('/streams/')")
    page.send("to the second")
    page.wait_for_payloads({"echo": "to the second"})
    assert page.log("close") == [["close", 1000, "", True, False]]


def test_frames_that_are_no_json_harm_nothing(page: Page) -> None:
    page.open_socket("/raw/")
    page.script("window.raw = 0; bridge.socket.onmessage = () => raw++")
    page.send("please")
    page.wait_for_payloads([2])
    [error] = page.script("return errors.splice(0)")
    assert "JSON" in error
    assert page.script("return raw") == 3


def test_a_listener_that_throws_harms_nothing(page: Page) -> None:
    page.script("""
        const fail = () => { throw new Error("on purpose") };
        make("/echo/");
        Object.assign(bridge.options, { onopen: fail, onmessage: fail });
        bridge.listen(fail);
    """)
    page.send(1, 2)
    page.wait_for_payloads(1, 2)
    # Of each event, and of each payload; what they are is hidden from a script of the driver.
    assert len(page.script("return errors.splice(0)")) == 5


def test_a_worker_has_a_bridge_too(page: Page) -> None:
    page.script("""
        new Worker("/static/worker.js", { type: "module" }).onmessage = ({ data }) => {
          window.told = data;
        };
    """)
    page.wait_to_show(lambda: page.script("return window.told"), "from a worker")


# Restarts of the daemon


def test_a_restarted_daemon_gets_what_was_sent_meanwhile_in_order(page: Page, site: Site) -> None:
    page.open_socket("/note/", SOON)
    page.send("before")
    page.wait_for_payloads("before")
    site.kill()
    page.wait_for(["close", 1006, "", True, True])
    assert page.send(*range(50)) == [True] * 50
    page.wait(lambda: len(page.log("reconnecting")) > 3, "several attempts")
    site.start_again()
    page.wait_for_payloads("before", *range(50))
    assert site.notes == list(range(50))
    page.send("after")
    page.wait_for_payloads("before", *range(50), "after")
    attempts = [event[1] for event in page.log("reconnecting")]
    assert attempts == list(range(1, len(attempts) + 1))
    assert page.log("drop") == []


def test_a_daemon_that_stops_in_order_is_come_back_to_within_a_moment(
    page: Page, site: Site
) -> None:
    options = {**SOON, "restartDelay": 300, "minReconnectionDelay": 1e8, "maxReconnectionDelay": 50}
    page.open_socket("/echo/", options)
    assert site.stop() == 0
    page.wait_for(["close", 1012, "The server restarts", True, True], ["reconnecting", 1, 1012])
    first = page.script("return waits[0]")
    assert 0 <= first <= 300
    site.start_again()
    page.send("back")
    page.wait_for_payloads("back")


def test_what_an_open_listener_sends_goes_before_what_has_waited(page: Page, site: Site) -> None:
    page.script("""
        make("/note/");
        bridge.send("waited");
        bridge.options.onopen = () => bridge.send("who I am");
    """)
    page.wait_for_payloads("who I am", "waited")


# Which ends are final


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1008, 1009])
def test_a_final_code_ends_it(code: int, page: Page) -> None:
    page.open_socket("/close/", SOON)
    page.send(code)
    page.wait_for(["close", code, "", True, False])
    assert page.script("return bridge.socket.readyState") == 3
    assert page.send("too late") == [False]
    assert page.log("reconnecting", "drop") == [["drop", '"too late"', "closed"]]
    page.script("bridge.reconnect()")
    page.wait_to_show(lambda: page.log("open"), [["open"], ["open"]])


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4000])
def test_another_code_does_not(code: int, page: Page) -> None:
    page.open_socket("/close/", SOON)
    page.send(code)
    page.wait_for(["close", code, "", True, True], ["reconnecting", 1, code])
    page.wait_to_show(lambda: page.log("open"), [["open"], ["open"]])


def test_the_page_may_decide_which_ends_are_final(page: Page) -> None:
    page.script("""
        make("/close/", { minReconnectionDelay: 20, shouldReconnect: ({ code, wasOpen }) =>
          code === 1008 ? wasOpen : code === 4001 ? false : undefined });
        bridge.send(1008);
    """)
    page.wait_to_show(lambda: page.log("open"), [["open"], ["open"]])
    page.send(4001)
    page.wait_for(["close", 4001, "", True, False])


def test_a_denied_handshake_is_tried_again_until_there_were_enough(page: Page) -> None:
    page.make("/deny/", {**SOON, "maxRetries": 3})
    page.wait_for(["close", 1006, "", False, False])
    closes = [event[-1] for event in page.log("close")]
    assert closes == [True, True, True, False]
    assert [event[1] for event in page.log("reconnecting")] == [1, 2, 3]


def test_close_ends_it_and_drops_what_waits(page: Page, site: Site) -> None:
    page.make("/deny/", FOREVER)
    page.send(1, 2)
    page.wait_for(["reconnecting", 1, 1006])
    page.script("bridge.close(4000, 'enough')")
    assert page.log()[-3:] == [
        ["close", 4000, "enough", False, False],
        ["drop", "1", "closed"],
        ["drop", "2", "closed"],
    ]
    page.script("dispatchEvent(new Event('online')); bridge.close()")
    assert page.script("return bridge.socket.readyState") == 3
    page.script("bridge.connect('/echo/')")
    page.send("again")
    page.wait_for_payloads("again")


# The queue


def test_the_queue_is_bounded_and_what_is_dropped_is_told(page: Page) -> None:
    early = "make('/note/', arguments[0]); return [...arguments[1]].map((one) => bridge.send(one))"
    answers = page.script(early, {"maxEnqueuedMessages": 3}, "abcde")
    assert answers == [True, True, True, False, False]
    assert page.log("drop") == [["drop", '"d"', "full"], ["drop", '"e"', "full"]]
    page.wait_for_payloads("a", "b", "c")
    page.send("f")
    page.wait_for_payloads("a", "b", "c", "f")


def test_nothing_waits_where_nothing_may(page: Page) -> None:
    early = "make('/echo/', { maxEnqueuedMessages: 0 }); return bridge.send('early')"
    assert page.script(early) is False
    page.wait_for(["open"])
    assert page.send("now") == [True]
    page.wait_for_payloads("now")


def test_an_unheard_drop_is_on_the_console(page: Page) -> None:
    said = page.script("""
        const said = [];
        console.error = (...words) => said.push(words);
        const bridge = new Bridge({ maxEnqueuedMessages: 0 });
        bridge.connect("/echo/");
        bridge.send("lost");
        bridge.close();
        return said;
    """)
    assert said == [["WebSocketBridge: not sent:", "full", '"lost"']]


def test_a_socket_that_is_closing_is_given_nothing(fake: Page) -> None:
    fake.make("/a", FOREVER)
    fake.script("sockets[0].open(); sockets[0].readyState = 2")
    assert fake.send("kept") == [True]
    fake.script("sockets[0].lose(1006); bridge.reconnect(); sockets[1].open()")
    assert fake.script("return sockets.map((one) => one.sent)") == [[], ['"kept"']]


# Waits, with a clock that stands


def waits_of(fake: Page, code: int, losses: int, options: dict[str, Any] | None = None) -> Any:
    """Have one socket after the other fail with *code*; return the waits."""
    script = """
        const [code, losses, options] = arguments;
        make("/a", options);
        for (let n = 0; n < losses; n++) {
          sockets.at(-1).lose(code);
          advance(waits.at(-1));
        }
        bridge.close();
        return waits;
    """
    return fake.script(script, code, losses, options)


def test_the_ceiling_of_the_wait_doubles_up_to_the_longest(fake: Page) -> None:
    fake.script("Math.random = () => 1")
    ceilings = [1000, 2000, 4000, 8000, 16000, 30000, 30000]
    assert waits_of(fake, 1006, 7) == ceilings
    options = {"minReconnectionDelay": 10, "maxReconnectionDelay": 50}
    assert waits_of(fake, 1006, 3, {**options, "reconnectionDelayGrowFactor": 3}) == [10, 30, 50]
    assert waits_of(fake, 1006, 2_000, options)[-1] == 50


def test_the_jitter_is_full(fake: Page) -> None:
    fake.script("Math.random = () => 0")
    assert waits_of(fake, 1006, 5) == [0] * 5


def test_the_waits_of_many_clients_are_spread_evenly(fake: Page) -> None:
    script = """
        const first = [];
        for (let n = 0; n < 1000; n++) {
          make("/a");
          sockets.at(-1).open();
          sockets.at(-1).lose(arguments[0]);
          first.push(...waits);
          bridge.close();
        }
        return first;
    """
    for code, ceiling in ((1006, 1000), (1012, 500)):
        waits = fake.script(script, code)
        assert len(waits) == 1000
        assert all(0 <= wait < ceiling for wait in waits)
        quarters = [sum(int(wait * 4 / ceiling) == n for wait in waits) for n in range(4)]
        # Within eight standard deviations.
        assert all(140 < quarter < 360 for quarter in quarters), quarters


def test_a_server_that_restarts_again_and_again_is_not_stormed(fake: Page) -> None:
    fake.script("Math.random = () => 1")
    assert waits_of(fake, 1012, 4) == [500, 2000, 4000, 8000]


def test_only_a_connection_that_lasts_starts_the_waits_anew(fake: Page) -> None:
    fake.script("Math.random = () => 1")
    fake.script("""
        make("/a");
        for (const uptime of [0, 4999, 5000, 100]) {
          sockets.at(-1).open();
          advance(uptime);
          sockets.at(-1).lose(1006);
          advance(waits.at(-1));
        }
    """)
    assert fake.script("return waits") == [1000, 2000, 1000, 2000]


def test_an_attempt_that_takes_too_long_is_given_up(fake: Page) -> None:
    fake.make("/a", {**FOREVER, "connectionTimeout": 100})
    fake.script("advance(99)")
    assert fake.log() == []
    fake.script("advance(1)")
    assert fake.log() == [["close", 1006, "timeout", False, True], ["reconnecting", 1, 1006]]
    assert fake.script("return sockets[0].closed.length") == 1


def test_nothing_is_left_running_after_close(fake: Page) -> None:
    fake.script("""
        window.signals = [];
        const add = window.addEventListener;
        window.addEventListener = (type, act, options) => {
          signals.push(options.signal);
          add.call(window, type, act, options);
        };
    """)
    fake.make("/a", {"idleTimeout": 1000})
    fake.script("sockets[0].open(); bridge.close()")
    assert fake.script("return signals.map((one) => one.aborted)") == [True] * 4
    assert fake.script("return timers.size") == 0
    fake.script("dispatchEvent(new Event('online')); dispatchEvent(new Event('offline'))")
    assert fake.script("return [timers.size, sockets.length]") == [0, 1]


def test_a_listener_may_close_or_reconnect_it(fake: Page) -> None:
    fake.script("make('/a'); bridge.options.onclose = () => bridge.close()")
    fake.script("sockets[0].lose(1006)")
    assert fake.script("return [timers.size, bridge.socket.readyState]") == [0, 3]
    fake.script("""
        sockets.length = 0;
        make("/a");
        bridge.options.onclose = () => sockets.length < 2 && bridge.reconnect();
        sockets[0].lose(1006);
        sockets[1].open();
        advance(1e6);
    """)
    assert fake.script("return sockets.length") == 2
    assert fake.log() == [["close", 1006, "", False, True], ["open"]]


# Is it alive?


def test_a_silent_socket_is_taken_for_dead(page: Page) -> None:
    page.open_socket("/silent/", {**SOON, "idleTimeout": 200})
    page.wait_for(["close", 1006, "idle", True, True])
    page.wait_to_show(lambda: page.log("open")[:2], [["open"], ["open"]])


def test_a_heartbeat_that_is_answered_keeps_it(page: Page) -> None:
    beat = {"stream": "heartbeat", "payload": None}
    page.open_socket("/echo/", {"idleTimeout": 400, "heartbeat": beat})
    page.script("window.heard = 0; bridge.listen(() => heard++)")
    page.wait(lambda: page.log("message").count(["message", None, "heartbeat"]) > 5, "beats")
    assert page.log("close") == []
    assert page.script("return heard") == 0


def test_a_frame_puts_the_heartbeat_off(fake: Page) -> None:
    fake.make("/a", {"idleTimeout": 1000, "heartbeat": "?"})
    fake.script("sockets[0].open(); advance(499); sockets[0].hear(1); advance(499)")
    assert fake.script("return sockets[0].sent") == []
    fake.script("advance(1)")
    assert fake.script("return sockets[0].sent") == ['"?"']
    fake.script("advance(499)")
    assert fake.log("close") == []
    fake.script("advance(1)")
    assert fake.log("close") == [["close", 1006, "idle", True, True]]


def test_who_comes_back_to_the_page_has_it_checked(fake: Page) -> None:
    fake.make("/a", {"idleTimeout": 60_000, "heartbeat": "?"})
    fake.script("sockets[0].open(); document.dispatchEvent(new Event('visibilitychange'))")
    assert fake.script("return sockets[0].sent") == ['"?"']
    fake.script("advance(30_000)")
    assert fake.log("close") == [["close", 1006, "idle", True, True]]


def test_the_page_s_events_do_not_end_the_limit_of_an_attempt(fake: Page) -> None:
    fake.make("/a", {**FOREVER, "idleTimeout": 60_000, "heartbeat": "?"})
    fake.script("dispatchEvent(new Event('online')); advance(10_000)")
    assert fake.log("close") == [["close", 1006, "timeout", False, True]]


# The page's network, tabs and history


def test_without_network_it_waits_and_with_it_it_waits_no_longer(page: Page) -> None:
    page.open_socket("/note/", FOREVER)
    page.driver.set_network_conditions(offline=True, latency=0, throughput=0)
    try:
        page.script("dispatchEvent(new Event('offline'))")
        page.wait_for(["close", 1006, "offline", True, True], ["reconnecting", 1, 1006])
        page.send("written offline")
    finally:
        page.driver.delete_network_conditions()
    page.script("dispatchEvent(new Event('online'))")
    page.wait_for_payloads("written offline")


def test_a_page_that_is_seen_again_waits_no_longer(fake: Page) -> None:
    fake.make("/a", FOREVER)
    fake.script("""
        sockets[0].lose(1006);
        const see = (hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        };
        see(true);
        window.whileHidden = sockets.length;
        see(false);
    """)
    assert fake.script("return [whileHidden, sockets.length, timers.size]") == [1, 2, 1]


def test_the_back_button_leads_to_a_page_that_is_connected(page: Page, site: Site) -> None:
    page.open_socket("/note/", FOREVER)
    page.script("window.mark = 'kept'")
    page.open("/elsewhere")
    page.driver.back()
    page.wait(lambda: page.script("return document.title") == "A page", "the page")
    page.find("html[data-ready=true]")
    # Chromium has kept the page, and its log.
    assert page.script("return [window.cameBack, window.mark]") == [True, "kept"]
    page.wait_to_show(page.log, [["open"], ["close", 1001, "pagehide", True, True], ["open"]])
    page.send("here again")
    page.wait_for_payloads("here again")


def test_a_page_that_was_left_while_waiting_connects_when_it_is_back(page: Page) -> None:
    page.make("/deny/", FOREVER)
    page.wait_for(["reconnecting", 1, 1006])
    page.send("for later")
    page.open("/elsewhere")
    page.driver.back()
    page.wait(lambda: page.script("return window.cameBack"), "the page")
    page.wait_for(["reconnecting", 2, 1006])
    assert page.log("drop") == []


def test_a_page_that_is_shown_again_connects_without_being_told_more(fake: Page) -> None:
    """Not every browser says `visibilitychange` too."""
    fake.make("/a", FOREVER)
    fake.script("sockets[0].open(); dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert fake.script("return [timers.size, sockets[0].closed.length]") == [0, 1]
    fake.script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    fake.script("sockets[1].open()")
    assert fake.log() == [["open"], ["close", 1001, "pagehide", True, True], ["open"]]


# Where no WebSocket comes up

STREAMED = """
    make("/deny/", {
      minReconnectionDelay: 20,
      maxReconnectionDelay: 100,
      eventStreamUrl: (last) => `/events/?after=${last}`,
      sendUrl: "/post/",
      sendHeaders: () => ({
        "X-CSRFToken": document.cookie.match(/csrftoken=([^;]*)/)[1],
      }),
      ...arguments[0],
    });
"""


def test_an_event_stream_takes_the_place_of_a_socket_that_does_not_come_up(
    page: Page, site: Site
) -> None:
    page.script("document.cookie")
    page.script(STREAMED)
    page.send("early")
    page.wait_for(["open"])
    assert page.script("return bridge.socket.transport") == "eventstream"
    assert page.log("close") == [["close", 1006, "", False, True]]
    page.wait_for_payloads({"hello": ""}, {"posted": "early"})
    page.send(*range(30))
    posted = [{"posted": number} for number in ("early", *range(30))]
    page.wait_for_payloads({"hello": ""}, *posted)
    assert site.notes[-31:] == ["early", *range(30)]


def test_a_lost_event_stream_comes_back_and_says_where_it_was(page: Page, site: Site) -> None:
    page.script(STREAMED, {"fallbackAfter": 1})
    page.wait_for_payloads({"hello": ""})
    site.kill()
    page.wait_for(["close", 1006, "eventstream", True, True])
    page.send("meanwhile")
    site.start_again()
    page.wait_for_payloads({"hello": ""}, {"hello": "7"}, {"posted": "meanwhile"})
    assert site.notes == ["meanwhile"]


def test_a_lost_event_stream_gives_way_to_a_socket_that_comes_up(page: Page) -> None:
    page.script("window.path = '/deny/'; window.streams = 0")
    page.script(STREAMED.replace('"/deny/"', "() => path"), {"fallbackAfter": 1})
    page.wait_for(["open"])
    page.script("path = '/echo/'; dispatchEvent(new Event('offline'))")
    page.wait_to_show(lambda: page.log("open"), [["open"], ["open"]])
    assert page.script("return bridge.socket.transport") == "websocket"


def test_a_stream_that_has_lost_its_heartbeat_is_taken_for_dead(page: Page) -> None:
    url = "/events/?beats=4&then=silence"
    page.script(STREAMED, {"fallbackAfter": 1, "idleTimeout": 400, "eventStreamUrl": url})
    page.wait_for(["close", 1006, "idle", True, True])


def test_a_message_that_is_refused_is_dropped_and_the_next_is_sent(page: Page, site: Site) -> None:
    page.script(STREAMED, {"fallbackAfter": 1})
    page.send("refuse", "fine")
    page.wait_for(["drop", '"refuse"', "403"], ["message", {"posted": "fine"}, None])


def test_one_request_is_sent_after_the_other(page: Page) -> None:
    page.script("""
        window.running = window.most = 0;
        const fetch = window.fetch;
        window.fetch = async (...how) => {
          most = Math.max(most, ++running);
          const answer = await fetch(...how);
          running--;
          return answer;
        };
    """)
    page.script(STREAMED, {"fallbackAfter": 1})
    page.wait_for(["open"])
    page.script("for (let n = 0; n < 20; n++) bridge.send(n)")
    page.wait_for_payloads({"hello": ""}, *({"posted": number} for number in range(20)))
    assert page.script("return most") == 1


def test_without_the_csrf_token_nothing_is_sent(page: Page) -> None:
    page.script(STREAMED, {"fallbackAfter": 1, "sendHeaders": {}})
    page.send("forged")
    page.wait_for(["drop", '"forged"', "403"])


def test_an_event_stream_without_a_way_to_send_says_so(page: Page) -> None:
    page.script(f"{STREAMED}; bridge.send('early')", {"fallbackAfter": 1, "sendUrl": None})
    page.wait_for(["drop", '"early"', "no sendUrl"])
    message = "try { bridge.send('late') } catch (error) { return error.message }"
    assert page.script(f"{message}; return 'nothing'") == "no sendUrl"


def test_a_browser_without_websockets_has_the_event_stream_at_once(page: Page) -> None:
    page.script("delete window.WebSocket")
    page.script(STREAMED)
    page.wait_for_payloads({"hello": ""})
    assert page.log("close") == []


def test_sockets_that_come_up_need_no_event_stream(page: Page) -> None:
    page.script("window.EventSource = () => { throw new Error('not wanted') }")
    page.script(STREAMED.replace("/deny/", "/echo/"))
    page.wait_for(["open"])
    assert page.script("return bridge.socket.transport") == "websocket"


# The files


def load(name: str) -> ModuleType:
    """A program of js/."""
    spec = importlib.util.spec_from_file_location(f"js_{name}", ROOT / "js" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


STATIC = ROOT / "txchannels" / "django" / "static" / "txchannels"


def test_the_served_files_are_what_is_built_of_the_source() -> None:
    build = load("build")
    assert build.stale(build.built()) == [], "run python js/build.py"
    assert sorted(build.built()) == FILES


@pytest.mark.parametrize("file", [name for name in FILES if ".min." in name])
def test_a_minified_file_has_less_than_6_kb(file: str) -> None:
    assert (STATIC / file).stat().st_size < 6000


def test_what_the_minifier_does_not_know_it_refuses() -> None:
    minifier = load("minifier")
    with pytest.raises(ValueError, match="line 2: '`' is beyond"):
        minifier.minify("let a = 1;\na = `b`;\n")
    with pytest.raises(ValueError, match=r"^\{ is not closed"):
        minifier.minify("{ a();")


@pytest.mark.parametrize(
    ("source", "minified"),
    [
        ("/* a */ f(1); // b\ng();", "f(1);g();"),
        ('f("a  // b", \'/* c */\');', 'f("a  // b",\'/* c */\');'),
        ("a = b + +c - -d + ++e;", "a=b+ +c- -d+ ++e;"),
        ("const long = 1;\nconst other = long;", "const a=1,b=a;"),
        ("const one = () => {};\nf();\nconst two = one;", "const a=()=>{};f();const b=a;"),
        ("const f = (key) => ({ key, other: key, key: 1 }).key;",
         "const b=a=>({key:a,other:a,key:1}).key;"),
        ("f(({ data, id }) => data + id);", "f(({data:a,id:b})=>a+b);"),
        ("class A { #x = 1; get x() { return this.#x; } }",
         "class a{#a=1;get x(){return this.#a}}"),
        ("export class A {}", "export class A{}"),
        ("f([true, false, undefined,]);", "f([!0,!1,void 0]);"),
        ("if (x) y(x);", "if(x)y(x);"),
    ],
)  # fmt: skip
def test_the_minifier_keeps_the_meaning(source: str, minified: str) -> None:
    assert load("minifier").minify(source) == minified + "\n"


def test_the_types_name_every_option_and_member() -> None:
    source = (ROOT / "js" / "websocketbridge.js").read_text("utf-8")
    types = (ROOT / "js" / "index.d.ts").read_text("utf-8")
    options = set(re.findall(r"\boptions\.(\w+)", source))
    [defaults] = re.findall(r"DEFAULTS = {(.*?)}", source, re.DOTALL)
    options |= set(re.findall(r"(\w+):", defaults))
    bridge = source[source.index("export class") :]
    members = set(re.findall(r"^  (\w+)(?: =|\()", bridge, re.MULTILINE))
    assert len(options) == 15
    assert len(members) > 8
    for name in options | members:
        assert re.search(rf"\b{name}\??[(:<]", types), name
    for name, value in re.findall(r"(\w+): (\w+),", defaults):
        said = re.search(rf"([^\n]*)\*/\n  {name}\?", types)
        assert said is not None
        assert said[1].rstrip().endswith(f": {value}."), name


def test_the_documentation_names_every_option_with_its_default() -> None:
    [defaults] = re.findall(
        r"DEFAULTS = {(.*?)}", (ROOT / "js" / "websocketbridge.js").read_text("utf-8"), re.DOTALL
    )
    text = (ROOT / "docs" / "javascript.md").read_text("utf-8")
    for name, value in re.findall(r"(\w+): (\w+),", defaults):
        assert re.search(rf"\| `{name}` \| {value} \|", text), name


def test_the_npm_package_has_the_files_that_it_names_and_our_version() -> None:
    from txchannels import __version__

    package = json.loads((ROOT / "js" / "package.json").read_text("utf-8"))
    for file in [*package["files"], package["main"], package["types"], "README.md"]:
        assert Path(ROOT, "js", file).is_file(), file
    assert package["version"] == __version__
    assert not {"dependencies", "devDependencies", "scripts"} & package.keys()
