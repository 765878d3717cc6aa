"""Whatever a site's code raises, whenever it is called, ends there (one thread, one daemon).

The daemon has one worker thread. That it is the same one in the end, that nothing waits and
that neighbours are served, is what "harms nothing else" means here.
"""

from __future__ import annotations

import http.client
import json
import urllib.request

import pytest
from websockets.exceptions import InvalidStatus

from tests.channels1.rough import WAIT, Rough, get, open_socket, told_once
from tests.channels1.rough_site.raising import RAISERS
from tests.integration.daemon import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(params=RAISERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("path", ["/connect/", "/spoil-connect/", "/groups/"])
def test_a_handshake_is_denied(site: Rough, name: str, path: str) -> None:
    with (
        told_once(site),
        pytest.raises(InvalidStatus) as raised,
        open_socket(site, f"{path}?{name}"),
    ):
        pass
    assert raised.value.response.status_code == 403


def test_a_handshake_that_was_accepted_before_is_denied(site: Rough, name: str) -> None:
    """Other than in Channels 1: a consumer that has failed opens nothing."""
    with told_once(site), pytest.raises(InvalidStatus) as refused:
        open_socket(site, f"/accept/?{name}").close()
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/receive/", "/constructor/", "/route/", "/send/"])
def test_a_socket_and_its_neighbour_go_on(site: Rough, name: str, path: str) -> None:
    with open_socket(site, path) as client, open_socket(site, "/receive/") as neighbour:
        with told_once(site):
            client.send(name)
        for one in (client, neighbour):
            one.send("still here")
            assert one.recv(WAIT) == "still here"


def test_a_message_of_which_nothing_is_left_ends_too(site: Rough, name: str) -> None:
    with open_socket(site, "/spoil/") as client:
        for _ in range(2):  # the second comes only when the first has been confirmed
            with told_once(site):
                client.send(name)


def test_a_json_consumer_goes_on(site: Rough, name: str) -> None:
    with open_socket(site, "/class/") as client:
        with told_once(site):
            client.send(json.dumps(name))
        client.send("7")
        assert client.recv(WAIT) == "7"


def test_a_stream_goes_on_in_order(site: Rough, name: str) -> None:
    with open_socket(site, "/streams/") as client:
        with told_once(site):
            client.send(json.dumps({"stream": "stream", "payload": {"raise": name}}))
        client.send('{"stream": "stream", "payload": {"a": 1}}')
        assert json.loads(client.recv(WAIT)) == {"stream": "stream", "payload": {"a": 1}}


def test_a_session_that_cannot_be_saved_costs_its_message(site: Rough, name: str) -> None:
    with open_socket(site, "/session/") as client:
        client.send("one")
        assert client.recv(WAIT) == "one 1"
        with told_once(site):
            client.send(name)
        # What it had sent before is sent; what it had stored is not.
        assert client.recv(WAIT) == f"{name} 1"
        client.send("two")
        assert client.recv(WAIT) == "two 2"


def test_an_ordered_session_that_cannot_be_saved_costs_its_socket_at_most(
    site: Rough, name: str
) -> None:
    with open_socket(site, "/ordered/") as client, open_socket(site, "/ordered/") as neighbour:
        told = site.settle()
        client.send(name)
        assert client.recv(WAIT) == f"{name} 0"
        # Once that the session cannot be saved, and perhaps again where its order should be.
        wait_until(lambda: site.told > told)
        for number in (1, 2):
            neighbour.send("here")
            assert neighbour.recv(WAIT) == f"here {number}"


@pytest.mark.parametrize("signal", ["started", "finished"])
def test_a_receiver_of_a_signal_costs_its_message(site: Rough, name: str, signal: str) -> None:
    with open_socket(site, "/signals/") as client:
        with told_once(site):
            client.send(f"{signal} {name}")
            assert client.recv(WAIT) == f"{signal} {name}"
            client.send("hit")
        if signal == "finished":  # by then it was done
            assert client.recv(WAIT) == "hit"
        client.send("still here")
        assert client.recv(WAIT) == "still here"


def test_a_disconnect_is_told(site: Rough, name: str) -> None:
    with told_once(site), open_socket(site, "/disconnect/") as client:
        client.close(4000 + list(RAISERS).index(name))


@pytest.mark.parametrize("what", ["deny", "fail"])
def test_what_is_to_be_done_to_a_socket_and_cannot_be_is_told(site: Rough, what: str) -> None:
    """As a denial of what is open; in Channels 1 it ended the worker."""
    with open_socket(site, "/late/") as client:
        with told_once(site):
            client.send(what)
        client.send("still here")
        assert client.recv(WAIT) == "still here"


@pytest.mark.parametrize("path", ["/view/", "/before/", "/after/", "/consumer/"])
def test_a_request_is_answered_500(site: Rough, name: str, path: str) -> None:
    status, body = get(site, f"{path}?{name}")
    assert status == 500
    assert b"Traceback" not in body
    assert b"fine" not in body
    assert get(site, "/fine/") == (200, b"fine")


def test_a_stream_is_cut(site: Rough, name: str) -> None:
    with (
        told_once(site),
        pytest.raises((http.client.IncompleteRead, ConnectionResetError)),
        urllib.request.urlopen(f"{site.url}/stream/?{name}", timeout=WAIT) as response,
    ):
        response.read()


def test_an_answer_whose_end_fails_has_gone_out(site: Rough, name: str) -> None:
    with told_once(site):
        assert get(site, f"/end/?{name}") == (200, b"all")


def test_a_stream_that_cannot_be_closed_has_gone_out(site: Rough, name: str) -> None:
    """What its `close` raises, Django keeps to itself, unless it is no `Exception`."""
    assert get(site, f"/stream-end/?{name}") == (200, b"all")
    assert get(site, "/fine/") == (200, b"fine")
