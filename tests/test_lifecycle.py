from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from txchannels.lifecycle import OrderedService, Stop


class Step(Service):
    """Writes down what it is asked; stopping it takes until `stopped` fires."""

    def __init__(self, name: str, story: list[str]) -> None:
        self.label = name
        self.story = story
        self.stopped: Deferred[None] = Deferred()

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self.story.append(f"{self.label} is privileged")

    def startService(self) -> None:
        super().startService()
        self.story.append(f"{self.label} starts")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.story.append(f"{self.label} stops")
        return self.stopped


class Sudden(Step):
    """Stops at once; or fails to, in one of two ways."""

    failure: Exception | None = None

    def stopService(self) -> None:
        super().stopService()
        if self.failure is not None:
            raise self.failure


class Reactor(Clock):
    """A clock with the few more things that `Stop` asks of a reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0
        self.triggers: list[tuple[str, str, Callable[[], None]]] = []
        self.when_running: list[Callable[[], None]] = []
        self.is_running = True

    def callWhenRunning(self, call: Callable[[], None]) -> None:
        if self.is_running:
            call()
        else:
            self.when_running.append(call)

    def callFromThread(self, call: Callable[..., None], *arguments: object) -> None:
        call(*arguments)

    def addSystemEventTrigger(self, phase: str, event: str, call: Callable[[], None]) -> None:
        self.triggers.append((phase, event, call))

    def stop(self) -> None:
        self.stops += 1


@pytest.fixture
def story() -> list[str]:
    return []


@pytest.fixture
def events():
    found: list[dict] = []
    globalLogPublisher.addObserver(found.append)
    yield found
    globalLogPublisher.removeObserver(found.append)


# The order


def test_children_start_in_their_order(story):
    service = OrderedService([Step("a", story), Step("b", story)])
    service.privilegedStartService()
    service.startService()
    assert story == ["a is privileged", "b is privileged", "a starts", "b starts"]
    assert service.running


def test_children_stop_in_the_reverse_order_each_waited_for(story):
    a, b, c = steps = [Step(name, story) for name in "abc"]
    service = OrderedService(steps)
    service.startService()
    story.clear()
    done: list[object] = []
    service.stopService().addBoth(done.append)
    assert story == ["c stops"]
    c.stopped.callback(None)
    assert story == ["c stops", "b stops"]
    b.stopped.callback(None)
    assert story == ["c stops", "b stops", "a stops"]
    assert done == []
    a.stopped.callback(None)
    assert done == [None]
    assert not service.running


def test_a_child_that_stops_at_once_needs_no_deferred(story):
    service = OrderedService([Sudden("a", story), Sudden("b", story)])
    service.startService()
    done: list[object] = []
    service.stopService().addBoth(done.append)
    assert story[2:] == ["b stops", "a stops"]
    assert done == [None]


def test_a_child_that_fails_to_stop_is_logged_and_holds_nobody_up(story, events):
    now, later = Sudden("now", story), Step("later", story)
    now.failure = RuntimeError("at once")
    service = OrderedService([Sudden("first", story), now, later])
    service.startService()
    done: list[object] = []
    service.stopService().addBoth(done.append)
    later.stopped.errback(RuntimeError("in the end"))
    assert done == [None]
    assert story[-1] == "first stops"
    failures = [event["log_failure"].getErrorMessage() for event in events]
    assert failures == ["in the end", "at once"]
    assert [event["child"] for event in events] == ["Step", "Sudden"]


# The time


def wait(stop, is_done, part=1.0):
    done: list[object] = []
    stop.wait_until(is_done, part).addBoth(done.append)
    return done


def test_what_is_done_is_not_waited_for():
    assert wait(Stop(Reactor(), 5), lambda: True) == [None]


def test_a_wait_ends_when_it_is_done():
    reactor, answers = Reactor(), [False]
    done = wait(Stop(reactor, 5), lambda: answers[0])
    reactor.pump([0.02] * 10)
    assert done == []
    answers[0] = True
    reactor.advance(0.02)
    assert done == [None]
    assert reactor.getDelayedCalls() == []


def test_a_wait_ends_when_the_time_is_up():
    reactor = Reactor()
    done = wait(Stop(reactor, 5), lambda: False)
    reactor.pump([0.02] * 240)
    assert done == []
    reactor.pump([0.02] * 20)
    assert done == [None]
    assert reactor.getDelayedCalls() == []


def test_all_waits_together_have_one_time():
    reactor = Reactor()
    stop = Stop(reactor, 5)
    first = wait(stop, lambda: False)
    reactor.advance(5)
    assert first == [None]
    assert wait(stop, lambda: False) == [None]


def test_a_part_of_the_time_is_left_for_others():
    reactor = Reactor()
    stop = Stop(reactor, 10)
    early, late = wait(stop, lambda: False, 0.9), wait(stop, lambda: False)
    reactor.pump([0.02] * 460)
    assert (early, late) == ([None], [])
    reactor.pump([0.02] * 60)
    assert late == [None]


def test_no_time_is_no_wait():
    assert wait(Stop(Reactor(), 0), lambda: False) == [None]


# Signals and failures


def test_the_first_signal_stops_the_reactor_and_starts_the_time():
    reactor = Reactor()
    stop = Stop(reactor, 5)
    stop.asked("SIGTERM")
    assert reactor.stops == 1
    reactor.advance(4)
    done = wait(stop, lambda: False)
    reactor.pump([0.02] * 40)
    assert done == []
    reactor.pump([0.02] * 20)
    assert done == [None]


def test_a_second_signal_ends_the_waits():
    reactor = Reactor()
    stop = Stop(reactor, 50)
    stop.asked("SIGTERM")
    done = wait(stop, lambda: False)
    stop.asked("SIGINT")
    reactor.advance(0.02)
    assert done == [None]
    assert reactor.stops == 1


def test_what_is_left_of_the_time_is_known():
    reactor = Reactor()
    stop = Stop(reactor, 30)
    reactor.advance(100)
    assert (stop.seconds_left(), stop.seconds_left(0.5)) == (30, 15)
    stop.asked("SIGTERM")
    reactor.advance(10)
    assert (stop.seconds_left(), stop.seconds_left(0.5)) == (20, 5)
    reactor.advance(10)
    assert (stop.seconds_left(), stop.seconds_left(0.5)) == (10, 0)
    stop.asked("SIGTERM")
    assert stop.seconds_left() == 0


def test_a_failure_stops_the_reactor_once_and_the_time_runs():
    reactor = Reactor()
    reactor.is_running = False
    stop = Stop(reactor, 5)
    stop.fail()
    stop.fail()
    assert reactor.stops == 0
    for call in reactor.when_running:
        call()
    assert reactor.stops == 1


def test_a_failure_during_a_stop_does_not_stop_twice():
    reactor = Reactor()
    stop = Stop(reactor, 5)
    stop.asked("SIGTERM")
    stop.fail()
    assert reactor.stops == 1


# The end of the process

PROGRAM = """
import os, sys, threading
from twisted.internet import reactor
from txchannels.lifecycle import Stop, tell_operator
stop = Stop(reactor, 5)
"""


def run(program: str, arm: bool = True, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + "stop.install()\n" * arm + program],
        text=True,
        timeout=60,
        check=False,
        stdout=subprocess.PIPE,
        **({"stderr": subprocess.PIPE} | more),
    )


def test_after_a_failure_the_exit_code_is_1():
    ended = run("reactor.callWhenRunning(stop.fail); reactor.run(); print('last words')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "last words\n", "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_after_a_signal_the_exit_code_is_0(name):
    ended = run(
        f"import signal\nreactor.callLater(0, os.kill, os.getpid(), signal.{name})\nreactor.run()\n"
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_hangup_that_nohup_has_ignored_stays_ignored():
    ended = run(
        "import signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "stop.install()\n"
        "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)\n",
        arm=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")


@pytest.mark.parametrize("twistd", ["signal.SIG_DFL", "lambda *_: print('twistd rotates')"])
def test_a_rotation_is_told_besides_what_twistd_does_then(twistd):
    ended = run(
        "import signal\n"
        "from txchannels.lifecycle import on_rotation\n"
        f"signal.signal(signal.SIGUSR1, {twistd})\n"
        "def rotated():\n"
        "    print('rotated')\n"
        "    reactor.stop()\n"
        "on_rotation(reactor, rotated)\n"
        "reactor.callLater(0, os.kill, os.getpid(), signal.SIGUSR1)\n"
        "reactor.run()\n"
    )
    said = ["twistd rotates", "rotated"] if "print" in twistd else ["rotated"]
    assert (ended.returncode, ended.stdout.splitlines(), ended.stderr) == (0, said, "")


def test_a_thread_of_the_site_does_not_keep_the_process():
    ended = run(
        "threading.Thread(target=threading.Event().wait).start()\n"
        "reactor.callWhenRunning(stop.asked, 'SIGTERM')\n"
        "reactor.run()\n"
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_operator_reads_it_on_standard_error_whatever_sys_stderr_is():
    ended = run("sys.stderr = sys.stdout; tell_operator('it does not work: ä')")
    assert (ended.stdout, ended.stderr) == ("", "txchannels: it does not work: ä\n")


def test_without_standard_error_the_operator_reads_it_in_the_log():
    ended = run(
        "from twisted.logger import globalLogBeginner, textFileLogObserver\n"
        "globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])\n"
        "tell_operator('it does not work')\n",
        stderr=subprocess.DEVNULL,
    )
    assert "#critical] txchannels: it does not work" in ended.stdout
    assert os.linesep.join(ended.stdout.splitlines()[1:]) == ""
