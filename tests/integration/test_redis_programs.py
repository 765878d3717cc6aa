"""Programs that are not the daemon send to those who are: no reactor, and bounded waits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

import pytest

from tests.integration.daemon import ROOT, bare_environment
from tests.integration.joined import SITE, WAIT, Host, Notes, started, wait
from tests.integration.joined_site.program import THREADS
from tests.integration.visiting import Member
from tests.servers import Cuttable, RedisServer
from txchannels.layers.redis.pools import COMMAND_SECONDS

pytestmark = pytest.mark.slow


class Program:
    """A plain Python program of the site; see `tests.integration.joined_site.program`."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.joined_site.program"],
            cwd=ROOT,
            env=program_environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=WAIT)
        assert self._process.returncode == 0

    def do(self, *words: str) -> dict[str, Any]:
        """Have it do something; what it tells."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{' '.join(words)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def program_environment(url: str) -> dict[str, str]:
    return bare_environment(DJANGO_SETTINGS_MODULE=SITE, LAYER_CONFIG=json.dumps({"hosts": [url]}))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    return Notes(tmp_path_factory.mktemp("notes"))


@pytest.fixture(scope="module")
def members(server: RedisServer, notes: Notes) -> Iterator[list[Member]]:
    """Sockets in the room, of two hosts; the daemons read the channel ``notes``, too."""
    hosts = [Host(name, server.url, notes, "--threads=8") for name in ("one", "two")]
    with started(*hosts), ExitStack() as stack:
        members = [stack.enter_context(Member(host)) for host in hosts for _ in range(2)]
        tell_all(members)
        yield members


@pytest.fixture
def program(server: RedisServer, members: list[Member]) -> Iterator[Program]:
    with Program(server.url) as program:
        yield program


def tell_all(members: list[Member]) -> None:
    """Wait until each host reaches the sockets of all."""
    for at, member in enumerate(members):
        seen = f"hello from {at}"

        def is_told(member: Member = member, seen: str = seen) -> bool:
            member.tell(seen)
            return all(seen in one.got for one in members)

        wait(is_told, "the room is complete")


def has_come(members: list[Member], texts: list[str]) -> None:
    """Each of *texts* comes to every member, once."""
    for member in members:
        wait(lambda one=member: all(text in one.got for text in texts), f"{texts} have come")
        assert {member.got[text] for text in texts} == {1}


@pytest.mark.parametrize("where", ["here", "fork", "process", "threads"])
def test_it_sends_to_groups_and_channels(
    program: Program, members: list[Member], notes: Notes, where: str
) -> None:
    expected = [where] if where != "threads" else [f"threads-{one}" for one in range(THREADS)]
    # What was used before a fork must not be used by both after it.
    assert program.do("here", "group", "room", f"before-{where}")["outcome"] == "sent"
    for kind, name in (("group", "room"), ("channel", "notes")):
        told = program.do(where, kind, name, where)
        assert told["outcome"] == "sent"
        assert told["unwanted"] == []
    assert program.do("here", "group", "room", f"after-{where}")["outcome"] == "sent"
    has_come(members, [*expected, f"before-{where}", f"after-{where}"])
    wait(lambda: all([text] in notes["notes"] for text in expected), "the channel is read")
    assert [notes["notes"].count([text]) for text in expected] == [1] * len(expected)


def test_a_shell_script_sends(server: RedisServer, members: list[Member]) -> None:
    code = (
        "import django; django.setup(); from txchannels.django import Group; "
        "Group('room').send({'text': 'from a script'})"
    )
    script = f'set -e\n"{sys.executable}" -W error -c "{code}"\necho done\n'
    ended = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=ROOT,
        env=program_environment(server.url),
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("done\n", "", 0)
    has_come(members, ["from a script"])


# Without its server


@pytest.mark.parametrize("where", ["here", "fork"])
def test_a_send_is_refused_at_once_while_no_server_is_there(
    server: RedisServer, members: list[Member], where: str
) -> None:
    with Cuttable(server.port) as line, Program(f"redis://127.0.0.1:{line.port}") as program:
        assert program.do(where, "group", "room", f"{where}-first")["outcome"] == "sent"
        line.cut()
        for kind, name in (("group", "room"), ("channel", "notes")):
            told = program.do("here", kind, name, f"{where}-lost")
            assert told["outcome"] == (
                f"LayerUnavailable: redis://127.0.0.1:{line.port}/0: Connection refused"
            )
            assert told["seconds"] < COMMAND_SECONDS, "it has waited for no answer"
        line.mend()
        assert program.do(where, "group", "room", f"{where}-again")["outcome"] == "sent"
    has_come(members, [f"{where}-first", f"{where}-again"])
    assert not [member for member in members if f"{where}-lost" in member.got]


def test_a_send_waits_only_so_long_for_a_server_that_says_nothing(
    server: RedisServer, members: list[Member]
) -> None:
    with Cuttable(server.port) as line, Program(f"redis://127.0.0.1:{line.port}") as program:
        assert program.do("here", "group", "room", "spoke")["outcome"] == "sent"
        line.silence()
        told = program.do("here", "group", "room", "unheard")
        assert told["outcome"].startswith("LayerUnavailable: redis://127.0.0.1:")
        assert told["outcome"].endswith("no answer in time; it may have done what it was asked")
        print(f"\nsilence: refused after {told['seconds']:.2f} s")  # noqa: T201
        assert told["seconds"] < 2 * COMMAND_SECONDS, "it has waited once"
        line.mend()
        assert program.do("here", "group", "room", "spoke-again")["outcome"] == "sent"
    has_come(members, ["spoke", "spoke-again"])
    assert not [member for member in members if member.got["unheard"] > 1]


def test_a_wrong_host_name_is_told_in_one_line() -> None:
    with Program("redis://no-such-host.invalid:6379") as program:
        told = program.do("here", "group", "room", "nobody")
        assert told["outcome"].startswith(
            "LayerUnavailable: redis://no-such-host.invalid:6379/0: the name cannot be resolved"
        )
        assert told["seconds"] < WAIT
