"""What a program forks has a connection of its own, and leaves its parent's alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from tests.layers.ipc.programs import environment, run_program
from tests.servers import wait_until

FORK = """
import os, sys
from txchannels.layers.ipc import IPCLayer

layer = IPCLayer(path=sys.argv[1]).blocking
layer.send("parent", {"n": 1})
before = layer.link()
child = os.fork()
if not child:
    layer.send("child", {"pid": os.getpid()})
    assert layer.link() is not before
    assert not before.is_open
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert layer.link() is before
assert before.is_open
assert layer.receive(["parent"]) == ("parent", {"n": 1})
assert layer.receive(["child"]) == ("child", {"pid": child})
"""


def test_a_forked_process_opens_a_connection_of_its_own(daemon):
    run_program(FORK, daemon.path)


POOL = """
import multiprocessing, sys
from txchannels.layers.ipc import IPCLayer

layer = IPCLayer(path=sys.argv[1]).blocking

def work(n):
    layer.send("done", {"n": n})
    return layer.new_channel("made?")

if __name__ == "__main__":
    layer.flush()
    before = layer.link()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert len(set(pool.map(work, range(30)))) == 30
    got = sorted(layer.receive(["done"])[1]["n"] for _ in range(30))
    assert got == list(range(30)), got
    assert layer.link() is before
"""


def test_a_pool_of_processes_uses_the_layer(daemon):
    run_program(POOL, daemon.path)


BUSY = """
import os, sys, threading
from txchannels.layers.ipc import IPCLayer

layer = IPCLayer(path=sys.argv[1]).blocking
is_over = False

def hammer(me):
    while not is_over:
        layer.send(f"hammer.{me}", {"bytes": b"x" * 100_000})
        assert layer.receive([f"hammer.{me}"])[0] == f"hammer.{me}"

threads = [threading.Thread(target=hammer, args=[me]) for me in range(4)]
for thread in threads:
    thread.start()
for n in range(15):
    child = os.fork()
    if not child:
        import signal
        signal.alarm(20)
        layer.send("child", {"n": n})
        layer.group_channels("room")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
is_over = True
for thread in threads:
    thread.join()
assert [layer.receive(["child"])[1]["n"] for _ in range(15)] == list(range(15))
"""


def test_locks_that_were_held_at_a_fork_hold_up_nobody(daemon):
    run_program(BUSY, daemon.path)


ATTACHED = """
import os, socket, sys
from txchannels.errors import LayerUnavailable
from txchannels.layers.ipc.layer import AttachedLayer
from txchannels.layers.ipc.link import Link

link = Link(socket.socket(fileno=int(sys.argv[2])))
link.start()
layer = AttachedLayer(link, 60.0, sys.argv[1]).blocking
subscription = link.subscribe(["work"], lambda *taken: None)
subscription.request(1)
layer.send("parent", {})
child = os.fork()
if not child:
    for write in (lambda: link.tell("consumer", [1, "a"]), lambda: link.call("flush")):
        try:
            write()
        except LayerUnavailable:
            pass
        else:
            os._exit(1)
    subscription.finish(1)  # as a consumer does that returns in the child, too
    subscription.request(1)
    link.close()
    layer.send("child", {})
    assert layer.link() is not link
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert layer.link() is link
layer.send("parent", {})
link.tell("done")
sys.stdin.read()
"""


def test_what_a_worker_forks_leaves_the_workers_connection_alone(daemon):
    ours, theirs = socket.socketpair()
    told = []
    peer = daemon.turning.call(daemon.server.adopt, ours, "worker")
    peer.told = lambda topic, value: told.append(topic)
    command = [sys.executable, "-c", ATTACHED, daemon.path, str(theirs.fileno())]
    with subprocess.Popen(
        command,
        env=environment(),
        pass_fds=[theirs.fileno()],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        theirs.close()
        wait_until(lambda: told or process.poll() is not None, "it is done")
        assert told == ["done"], process.communicate()
        assert peer.requested == 1
        assert daemon.hub.statistics("parent")["messages_pending"] == 2
        assert daemon.hub.statistics("child")["messages_pending"] == 1
        process.communicate(b"")
    assert process.returncode == 0


ORPHAN = """
import os, signal, socket, sys
from txchannels.layers.ipc.link import Link

link = Link(socket.socket(fileno=int(sys.argv[1])))
link.start()
read, write = os.pipe()
if not os.fork():
    os.close(read)
    os.write(write, b"x")
    os.close(2)
    signal.pause()
os.read(read, 1)
link.tell("child", None)
signal.pause()
"""


def test_a_child_that_outlives_a_worker_does_not_keep_its_connection_open(daemon):
    ours, theirs = socket.socketpair()
    told, ended = [], []
    peer = daemon.turning.call(daemon.server.adopt, ours, "worker")
    peer.told = lambda topic, value: told.append(topic)
    peer.ended = ended.append
    command = [sys.executable, "-c", ORPHAN, str(theirs.fileno())]
    process = subprocess.Popen(
        command, env=environment(), pass_fds=[theirs.fileno()], start_new_session=True
    )
    try:
        theirs.close()
        wait_until(lambda: told, "the child is there")
        process.kill()
        process.wait()
        wait_until(lambda: ended, "the worker's end is seen")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
