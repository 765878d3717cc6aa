"""``manage.py runworker``: becomes ``twistd -n channels-worker``.

Source: Channels 1, ``runworker``.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from txchannels.django.asgi import channel_layers
from txchannels.django.management.becoming import become, site_folders, twistd
from txchannels.django.management.site import (
    is_process_local,
    layer_alias,
    layer_backend,
    settings_module,
)
from txchannels.django.shown_messages import VARIABLE

__all__ = ["Command"]


class Command(BaseCommand):
    """See the module."""

    help = (
        "Runs the site's views and consumers, for daemons that are joined by a channel layer: "
        "twistd channels-worker."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options of Channels 1."""
        parser.add_argument("--layer", help="Alias of the channel layer.")
        parser.add_argument(
            "--only-channels",
            action="append",
            default=[],
            metavar="GLOB",
            help="Run messages of these channels alone; repeatable.",
        )
        parser.add_argument(
            "--exclude-channels",
            action="append",
            default=[],
            metavar="GLOB",
            help="Run no messages of these channels; repeatable.",
        )
        parser.add_argument("--threads", type=int, help="The most threads there may be.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Become the worker.

        Raises: CommandError: It could never work.
        """
        if not settings_module():
            raise CommandError("The settings are in no module that another process could import.")
        alias = options["layer"] or layer_alias()
        if alias not in channel_layers:
            known = ", ".join(sorted(channel_layers.configs))
            raise CommandError(f"--layer {alias!r}: CHANNEL_LAYERS has only: {known}")
        if is_process_local(alias):
            raise CommandError(
                f"The layer {alias!r} ({layer_backend(alias)}) reaches no other process, so a "
                "worker would get nothing to do. Run twistd channels alone, which runs views "
                "and consumers itself, or configure a layer that processes share, as "
                "txchannels.layers.redis.RedisLayer."
            )
        environment = {VARIABLE: "1"} if options["verbosity"] > 1 else {}
        become([*twistd(), *self.worker_options(alias, **options)], environment)

    def worker_options(self, alias: str, **options: Any) -> list[str]:
        """The options of ``twistd``; ``TXCHANNELS`` holds for what is not among them."""
        found = ["--nodaemon", "--pidfile=", "channels-worker"]
        found += [f"--settings={settings_module()}", f"--layer={alias}"]
        found += [f"--pythonpath={folder}" for folder in site_folders()]
        for name in ("only_channels", "exclude_channels"):
            found += [f"--{name.replace('_', '-')}={glob}" for glob in options[name]]
        if options["threads"] is not None:
            found.append(f"--threads={options['threads']}")
        return found
