"""``manage.py runserver``: Django's, with the daemon instead of its own server.

The command opens the port, says where it is, and becomes the daemon (`txchannels.devserver`):
one process keeps port and sockets, and another runs the site's code and follows its edits.

Source: Channels 1, ``runserver``; Django's own.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any, NoReturn

import django
from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as DjangoCommand
from django.core.management.base import CommandError
from django.core.management.commands.runserver import Command as PlainCommand
from django.db import connections

from txchannels.django.management.becoming import become, interpreter, site_folders
from txchannels.django.management.site import (
    is_process_local,
    layer_alias,
    layer_backend,
    settings_module,
)

__all__ = ["Command"]

#: Where the program that serves looks for what is no option of a daemon.
VARIABLE = "TXCHANNELS_RUNSERVER"

#: The descriptor under which a program finds the port that it is given (sd_listen_fds(3)).
PORT_DESCRIPTOR = 3

BACKLOG = 1024

MAX_PORT = 65_535

#: Few files may be open on a developer's machine.
MAX_CONNECTIONS = 500

#: How long Ctrl-C may take, with a view that is running.
STOP_SECONDS = 2

#: Django's names of the colours that the server uses.
STYLES = (
    "ERROR",
    "WARNING",
    "HTTP_INFO",
    "HTTP_SUCCESS",
    "HTTP_REDIRECT",
    "HTTP_NOT_MODIFIED",
    "HTTP_BAD_REQUEST",
    "HTTP_NOT_FOUND",
    "HTTP_SERVER_ERROR",
)

_REASONS = {
    errno.EACCES: "You don't have permission to access that port.",
    errno.EADDRINUSE: "That port is already in use.",
    errno.EADDRNOTAVAIL: "That IP address can't be assigned to.",
}


class Command(DjangoCommand):
    """See the module. Subclasses may change what is uppercase in Django's, and this:

    Attributes:
        program: The module that is run to serve; it takes the options of ``twistd channels``.
        server_cls: The server of ``--noasgi``.
    """

    help = "Starts a development server for HTTP and WebSocket, which follows edits of the code."

    program = "txchannels.devserver"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Django's, those of static files, and those of Channels 1."""
        super().add_arguments(parser)
        parser.add_argument(
            "--noworker",
            action="store_false",
            dest="run_worker",
            help="Serve sockets alone; manage.py runworker runs views and consumers.",
        )
        parser.add_argument(
            "--noasgi",
            action="store_false",
            dest="use_asgi",
            help="Run Django's own server: no WebSockets.",
        )
        parser.add_argument(
            "--http_timeout",
            type=float,
            help="Seconds that a view may take to begin its response; then 503.",
        )
        parser.add_argument(
            "--websocket_handshake_timeout",
            type=float,
            help="Seconds that a consumer may take to accept a WebSocket; then 403.",
        )

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """The WSGI application of ``--noasgi``."""
        if "django.contrib.staticfiles" not in settings.INSTALLED_APPS:
            return PlainCommand.get_handler(self, *args, **options)
        return super().get_handler(*args, **options)

    def run(self, **options: Any) -> None:
        """Open the port, and become the server."""
        if not options["use_asgi"]:
            super().run(**options)
            return
        if not settings_module():
            self.stderr.write(
                self.style.WARNING(
                    "The settings are in no module that another process could import: "
                    "running Django's own server, without WebSockets."
                )
            )
            super().run(**options)
            return
        if not options["run_worker"] and is_process_local():
            raise CommandError(
                f"--noworker: the layer {layer_alias()!r} ({layer_backend()}) reaches no other "
                "process, so nobody would answer. Configure one that does in CHANNEL_LAYERS, "
                "as txchannels.layers.redis.RedisLayer."
            )
        try:
            self._serve(options)
        except KeyboardInterrupt:
            sys.exit(0)

    def _serve(self, options: dict[str, Any]) -> NoReturn:
        follows_edits = options["use_reloader"] and options["run_worker"]
        if not follows_edits:
            self._check(options)
        with self._open_port() as port:
            self._announce(port.getsockname()[1])
            if port.fileno() == PORT_DESCRIPTOR:
                port.set_inheritable(True)
            else:
                os.dup2(port.fileno(), PORT_DESCRIPTOR, inheritable=True)
            family = "INET6" if port.family == socket.AF_INET6 else "INET"
            self._become(f"systemd:domain={family}:index=0", follows_edits, options)

    def _become(self, endpoint: str, follows_edits: bool, options: dict[str, Any]) -> NoReturn:
        wishes = {
            "reload": follows_edits,
            "verbosity": options["verbosity"],
            "styles": self._styles(),
            "worker": {
                "use_static": options["use_static_handler"],
                "insecure": options["insecure_serving"],
                "skip_checks": options["skip_checks"],
                "no_color": options["no_color"],
                "force_color": options["force_color"],
            },
        }
        become(
            [
                *(*interpreter(), "-m", self.program),
                *(f"--endpoint={endpoint}", *self.daemon_options(**options)),
            ],
            {
                VARIABLE: json.dumps(wishes),
                "LISTEN_FDS": "1",
                "LISTEN_FDNAMES": "runserver",
                "LISTEN_PID": str(os.getpid()),
            },
        )

    def daemon_options(self, **options: Any) -> list[str]:
        """The options of ``twistd channels`` that the server is started with, but for the port.

        Subclasses may add some; ``TXCHANNELS`` holds for what is not among them.
        """
        found = [
            f"--settings={settings_module()}",
            *(f"--pythonpath={folder}" for folder in site_folders()),
            "--access-log=",
            f"--drain-timeout={STOP_SECONDS}",
            f"--max-connections={MAX_CONNECTIONS}",
        ]
        if not options["run_worker"]:
            found.append("--no-workers")
        elif options["use_reloader"]:
            # A breakpoint may hold a worker for as long as it takes.
            found += ["--processes=1", "--reload", "--stuck-timeout=0"]
        if not options["use_threading"]:
            found.append("--threads=1")
        if options["http_timeout"] is not None:
            found.append(f"--response-timeout={options['http_timeout']:g}")
        if options["websocket_handshake_timeout"] is not None:
            found.append(f"--ws-connect-timeout={options['websocket_handshake_timeout']:g}")
        if settings.FORCE_SCRIPT_NAME:
            found.append(f"--root-path={settings.FORCE_SCRIPT_NAME}")
        names = getattr(settings, "CHANNELS_WS_PROTOCOLS", None) or []
        return found + [f"--ws-protocol={name}" for name in names]

    def _check(self, options: dict[str, Any]) -> None:
        """What the process that runs the code does by itself, where it is another one."""
        if not options["skip_checks"]:
            self.stdout.write("Performing system checks...\n\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        connections.close_all()

    def _open_port(self) -> socket.socket:
        """The listening socket that `handle` has read the address of."""
        family = socket.AF_INET6 if self.use_ipv6 else socket.AF_INET
        host = "0.0.0.0" if self.addr == "0" and not self.use_ipv6 else self.addr  # noqa: S104
        if int(self.port) > MAX_PORT:
            raise CommandError(f"{self.port!r} is not a valid port number: {MAX_PORT} is the last.")
        try:
            found = socket.getaddrinfo(host, int(self.port), family, socket.SOCK_STREAM)
            return socket.create_server(found[0][4][:2], family=family, backlog=BACKLOG)
        except OSError as error:
            reason = _REASONS.get(error.errno or 0, error)
            self.stderr.write(f"Error: {reason}")
            sys.exit(1)

    def _announce(self, port: int) -> None:
        """Say where the server is, and how to end it."""
        host = f"[{self.addr}]" if self._raw_ipv6 else self.addr
        host = "0.0.0.0" if host == "0" else host  # noqa: S104 - only shown
        now = datetime.now().strftime("%B %d, %Y - %X")  # noqa: DTZ005 - for whoever sits there
        self.stdout.write(
            f"{now}\n"
            f"Django version {django.get_version()}, using settings {settings_module()!r}\n"
            f"Starting development server at {self.protocol}://{host}:{port}/\n"
            f"Channel layer {layer_alias()} ({layer_backend()})\n"
            "Quit the server with CONTROL-C."
        )
        if os.environ.get("DJANGO_RUNSERVER_HIDE_WARNING") != "true":
            self.stdout.write(
                self.style.WARNING(
                    "WARNING: This server is for development. On the Internet, run twistd channels."
                )
            )

    def _styles(self) -> dict[str, tuple[str, str]]:
        """What stands before and after a text of each style."""
        mark = "\0"
        painted = {name: getattr(self.style, name)(mark) for name in STYLES}
        return {name: tuple(text.split(mark)) for name, text in painted.items()}
