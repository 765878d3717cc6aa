"""Counts what the workers do."""

# ruff: noqa: RUF012 - as they were written

from django.apps import AppConfig

from txchannels.django.signals import (
    consumer_finished,
    consumer_started,
    worker_process_ready,
    worker_ready,
)


class BoardConfig(AppConfig):
    name = "board"

    counts = {"started": 0, "finished": 0, "ready": 0, "process_ready": 0}

    def ready(self):
        import board.bindings  # noqa: F401 - they register themselves

        for signal, name in (
            (consumer_started, "started"),
            (consumer_finished, "finished"),
            (worker_ready, "ready"),
            (worker_process_ready, "process_ready"),
        ):
            signal.connect(self.counter(name), weak=False)

    def counter(self, name):
        def count(**kwargs):
            self.counts[name] += 1

        return count
