"""``manage.py rundelay``: a program of its own for delayed messages.

The daemon's workers do all that it does; it is for those who want one.
Source: Channels 1, ``channels.delay.management.commands.rundelay``.
"""

from __future__ import annotations

import logging
import math
import signal
import sys
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import InvalidChannelLayerError, channel_layers
from txchannels.django.delay.program import DelayProgram
from txchannels.errors import ConfigurationError

__all__ = ["Command"]


class Command(BaseCommand):
    """See the module."""

    help = (
        "Stores the messages that are sent to asgi.delay, and sends them when they are due, "
        "until SIGTERM or SIGINT. The daemon does so itself, unless it runs with --no-delay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            help="which of CHANNEL_LAYERS to use [%(default)s]",
        )
        parser.add_argument(
            "--sleep",
            type=float,
            default=1.0,
            help="seconds from one look for what is due to the next [%(default)g]",
        )

    def handle(self, *args: Any, layer: str, sleep: float, verbosity: int, **options: Any) -> None:
        if not 0.01 <= sleep < math.inf:
            raise CommandError(f"--sleep must be a number of seconds, 0.01 or more: {sleep:g}")
        if layer not in channel_layers:
            known = ", ".join(sorted(channel_layers.configs))
            raise CommandError(f"--layer {layer!r}: CHANNEL_LAYERS has only: {known}")
        try:
            wrapper = channel_layers[layer]
        except (InvalidChannelLayerError, ConfigurationError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from None
        if wrapper.local_only():
            raise CommandError(
                f"The layer {wrapper} reaches no other process: nobody could send this one "
                "anything. The daemon itself sends delayed messages; or use a layer that joins "
                "processes, as txchannels.layers.ipc.IPCLayer or txchannels.layers.redis.RedisLayer"
            )
        _show_warnings()
        stopping = Event()
        before = {
            number: signal.signal(number, lambda *_: stopping.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        program = DelayProgram(wrapper, sleep, stopping)
        if verbosity:
            self.stdout.write(f"Listening on asgi.delay of the layer {wrapper}")
            self.stdout.flush()
        try:
            program.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if verbosity:
            self.stdout.write(f"Stopped: {program.sent} sent, {program.lost} lost")


def _show_warnings() -> None:
    """Let warnings and errors reach standard error, unless the site's LOGGING says where to.

    Under DEBUG, Django itself shows those of its own loggers, of which ours is one.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setLevel(logging.WARNING)
        handler.addFilter(lambda record: not (settings.DEBUG and record.name[:7] == "django."))
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
