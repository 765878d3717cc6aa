"""A worker process as the daemon has it: what it prints, and what is left where it cannot be."""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path

import pytest

from txchannels.workers.process import Program, ProgramProtocol


class Transport:
    pid = 0


class Reactor:
    """Starts nothing; notes what it was to start."""

    def __init__(self):
        self.started = []
        self.later = []

    def seconds(self):
        return 0.0

    def callLater(self, seconds, call, *arguments):
        self.later.append((seconds, call, arguments))

    def spawnProcess(self, protocol, executable, command, **more):  # noqa: N802 - Twisted's name
        self.protocol = protocol
        self.started.append(command)
        return Transport


class Events:
    def __init__(self):
        self.told = []

    def ended(self, *what):
        self.told.append(what)


def open_files():
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone


def make(reactor, adopt, folder=".", events=None):
    return Program(reactor, "worker 1.1", events or Events(), adopt, {}, print, folder)


# What it prints


def read(protocol, *pieces):
    for piece in pieces:
        protocol.childDataReceived(1, piece)


def test_what_is_read_at_once_is_one_event(lines):
    protocol = ProgramProtocol("worker 1.1", print)
    read(protocol, b"x\n" * 30_000)
    assert len(lines) == 1
    assert lines[0][1].split("\n") == ["[worker 1.1] x"] * 30_000


def test_lines_are_whole_and_in_order(lines):
    protocol = ProgramProtocol("worker 1.1", print)
    read(protocol, b"one\ntw", b"o", b"\nthree\nfo", b"ur")
    protocol.childConnectionLost(1)
    said = "\n".join(text for _, text in lines).split("\n")
    assert said == [f"[worker 1.1] {word}" for word in ("one", "two", "three", "four")]


def test_braces_are_no_fields(lines):
    read(ProgramProtocol("worker {1}", print), b"{no} {field!r}\n")
    assert lines[0][1] == "[worker {1}] {no} {field!r}"


# Where it cannot be


def test_one_that_cannot_be_served_is_killed_and_leaves_nothing(monkeypatch):
    def adopt(sock: socket.socket, name: str):
        raise OSError(errno.EMFILE, "Too many open files")

    killed = []
    monkeypatch.setattr("txchannels.workers.process.os.kill", lambda *what: killed.append(what))
    reactor, events, before = Reactor(), Events(), open_files()
    with pytest.raises(OSError, match="Too many open files"):
        make(reactor, adopt, events=events)
    assert open_files() == before
    assert killed == [(0, signal.SIGKILL)]
    reactor.protocol._exited("killed by SIGKILL")
    assert (reactor.later, events.told) == ([], []), "nobody was told of its start"


def test_one_that_cannot_be_started_leaves_nothing():
    class Full(Reactor):
        def spawnProcess(self, *_, **__):  # noqa: N802 - Twisted's name
            raise OSError(errno.EMFILE, "Too many open files")

    before = open_files()
    with pytest.raises(OSError, match="Too many open files"):
        make(Full(), print)
    assert open_files() == before


# Where it is


def start(folder):
    reactor = Reactor()

    class Peer:
        def tell(self, *_): ...

    def adopt(sock, name):
        sock.close()
        return Peer()

    make(reactor, adopt, str(folder))._board.close()
    return reactor.started[0]


def test_it_is_started_in_the_folder_that_its_name_leads_to(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to("a")
    monkeypatch.chdir(tmp_path / "a")
    assert str(link) not in start(link), "it is there already"
    link.unlink()
    link.symlink_to("b")
    assert str(link) in start(link)
    (tmp_path / "a").rmdir()
    assert str(link) in start(link)
    link.unlink()
    with pytest.raises(OSError, match=f"its folder {link}: No such file"):
        start(link)
    assert not Path(link).exists()
