"""A supervisor with processes that do what a test tells them, on a clock that it turns."""

from __future__ import annotations

from twisted.internet.task import Clock

from txchannels.settings import ProcessSettings
from txchannels.workers.supervisor import Supervisor

#: The most that jitter can take off.
JITTER = 0.75

FACTS = {"channels": ["http.request"]}


class Process:
    """A worker process. What it was told is in `told`; it tells what the test has it tell."""

    def __init__(self, world, number, generation, events):
        self.world = world
        self.number = number
        self.generation = generation
        self.pid = 1000 + len(world.spawned)
        self.events = events
        self.told = []
        self.is_ready = self.has_failed = self.has_ended = False
        self.done = self.running = self.memory = 0
        self.is_full = False
        self.last_done = self.last_heard = world.clock.seconds()

    # What the supervisor tells it

    def begin(self):
        assert self.is_ready
        assert not self.has_ended
        assert self.told == []
        self.told.append("begin")
        self.last_done = self.last_heard = self.world.clock.seconds()

    def drain(self):
        assert not self.has_ended
        assert self.told == ["begin"]
        self.told.append("drain")

    def dump(self):
        assert not self.has_ended
        self.told.append("dump")

    def kill(self):
        self.told.append("kill")

    def rss(self):
        return self.memory

    def describe_running(self):
        return ["site.consumers.echo of websocket.receive"] * self.running

    # What the test has it do

    def ready(self, **facts):
        self.is_ready = True
        self.events.ready(self, facts or FACTS)
        return self

    def failed(self, reason="ImportError: no module named 'site'"):
        self.has_failed = True
        self.events.failed(self, reason)
        self.end("exit code 1")

    def end(self, how="killed by SIGKILL", lost=0):
        self.has_ended = True
        self.events.ended(self, how, lost)

    def work(self, messages=1):
        self.done += messages
        self.last_done = self.last_heard = self.world.clock.seconds()

    @property
    def is_serving(self):
        """Whether it asks for messages."""
        return self.told == ["begin"] and not self.has_ended


class World:
    """The supervisor, its clock, and what was seen of both."""

    def __init__(self, count=2, drain_timeout_seconds=20.0, **settings):
        self.clock = Clock()
        self.spawned = []
        self.refusals = 0
        self.broken = []
        self.facts = []
        self.facts_told = self.facts.append
        self.supervisor = Supervisor(
            self.clock,
            self.spawn,
            ProcessSettings(count=count, **settings),
            drain_timeout_seconds=drain_timeout_seconds,
            broken_changed=self.broken.append,
            facts_changed=self.tell_facts,
        )

    def tell_facts(self, facts):
        self.facts_told(facts)

    def spawn(self, number, generation, events):
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.spawned.append(Process(self, number, generation, events))
        return self.spawned[-1]

    def start(self):
        self.supervisor.start()
        return self

    def started(self):
        """All of the first generation work."""
        self.start()
        self.ready_all()
        return self

    def ready_all(self):
        for process in self.starting:
            process.ready()

    def advance(self, seconds, step=0.5):
        """Let time pass; processes that live answer pings."""
        while seconds > 0:
            for process in self.alive:
                process.last_heard = self.clock.seconds() + step
            self.clock.advance(min(step, seconds))
            seconds -= step

    @property
    def alive(self):
        return [one for one in self.spawned if not one.has_ended]

    @property
    def starting(self):
        return [one for one in self.alive if not one.is_ready and "kill" not in one.told]

    @property
    def serving(self):
        return [one for one in self.spawned if one.is_serving]

    @property
    def killed(self):
        return [one for one in self.alive if "kill" in one.told]

    def reload(self):
        """The outcomes of a reload that is asked for now: none until it has ended."""
        outcomes = []
        self.supervisor.reload().addCallback(outcomes.append)
        return outcomes

    def end_killed(self):
        for process in self.killed:
            process.end()
