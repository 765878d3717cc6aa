"""``python -m txchannels reload`` and ``status``: orders to a daemon that runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from txchannels.asking import ASK_SECONDS, ask_site, make_layer, socket_path
from txchannels.errors import ConfigurationError, LayerError
from txchannels.layers.ipc.layer import own_path
from txchannels.layers.ipc.places import module_place
from txchannels.layers.ipc.sockets import default_path, dial
from txchannels.options import build_settings

__all__ = ["main"]

ENVIRONMENT: Final = "DJANGO_SETTINGS_MODULE"

#: What to do where no daemon can be asked.
_ASKABLE: Final = (
    "twistd channels can be told when it runs with --processes, by the same user; "
    "one with another --socket is named with --socket"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the daemon, and wait for what it says. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    if not (options.socket or options.settings or os.environ.get(ENVIRONMENT)):
        return _refuse("name the daemon with --socket or --settings")
    try:
        answer = _ask(options.socket or _find(options), options.order, options.timeout)
    except LayerError as error:
        return _refuse(str(error))
    if options.order == "status":
        _show_status(answer, is_json=options.json)
        return 0
    if not answer["ok"]:
        return _refuse(f"the reload failed: {answer['reason']}. {answer['state']}")
    sys.stdout.write(f"Reloaded: generation {answer['generation']} runs\n")
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(f"txchannels: {reason}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m txchannels",
        description="Tell a daemon that runs with --processes what to do.",
    )
    parser.add_argument(
        "order",
        choices=("reload", "status"),
        help="reload: start new workers with the code as it is now, and wait until they run; "
        "status: show the workers",
    )
    parser.add_argument("--socket", help="the daemon's Unix socket, as its --socket names it")
    parser.add_argument("--settings", help="the daemon's settings module, to find its socket by")
    parser.add_argument("--layer", default="", help="the layer's alias, as its --layer names it")
    parser.add_argument(
        "--pythonpath",
        action="append",
        default=[],
        help="where the site's modules are, if not here",
    )
    parser.add_argument(
        "--timeout", type=float, default=300.0, help="seconds to wait for the outcome [300]"
    )
    parser.add_argument("--json", action="store_true", help="show the status as JSON")
    return parser


def _find(options: argparse.Namespace) -> str:
    """Where the socket is of the daemon with these settings."""
    module = options.settings or os.environ[ENVIRONMENT]
    named_by = "--settings" if options.settings else ENVIRONMENT
    folders = [str(Path(folder).absolute()) for folder in options.pythonpath]
    place = module_place(module, folders)
    try:
        facts = ask_site(module, options.layer, folders, ASK_SECONDS, named_by)
        settings = build_settings({"layer": options.layer or None}, facts.options or {})
        layer = make_layer(facts, settings.layer, place)
        path = socket_path(layer, settings.processes.socket, module, place)[0]
        return _guess(path, *_usual(module, place))  # it may have started before they could be read
    except ConfigurationError as error:
        path = _guess(*_usual(module, place))
        sys.stderr.write(
            f"txchannels: {error}. So its socket may be another than {path}; "
            "--socket names it in any case\n"
        )
        return path


def _usual(module: str, place: str) -> tuple[str, str]:
    """Where the daemon of these settings is when nobody names a path: with any layer, with IPC."""
    return default_path(module, place), own_path(place)


def _guess(*paths: str) -> str:
    """The first of them where there is a socket; where there is none, the first."""
    return next((path for path in paths if Path(path).is_socket()), paths[0])


def _ask(path: str, order: str, seconds: float) -> Any:
    """What the daemon at *path* says.

    Raises: LayerError: It is not there, refuses, or says nothing in time.
    """
    said: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    link = dial(path, _ASKABLE)
    link.told = lambda topic, value: said.put((topic, value))
    link.ended = lambda: said.put(("refused", "the daemon has ended"))
    try:
        link.tell(order)
        topic, value = said.get(timeout=seconds)
    except Empty:
        raise LayerError(f"the daemon has not said how it went within {seconds:g} s") from None
    finally:
        link.ended = lambda: None
        link.close()
    if topic == "refused":
        raise LayerError(str(value))
    return value


def _show_status(status: dict[str, Any], *, is_json: bool) -> None:
    lines = [json.dumps(status)] if is_json else _describe(status)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _describe(status: dict[str, Any]) -> Iterator[str]:
    yield f"txchannels {status['version']}, process {status['pid']}: {status['status']}"
    for worker in status["workers"]:
        yield (
            f"  {worker['name']} ({worker['pid']}): {worker['done']} messages done, "
            f"{worker['running']} running, {worker['rss'] / 2**20:.0f} MiB"
        )
        for what in worker["runs"]:
            yield f"    runs {what}"
    yield (
        f"  {status['restarts']} restarts, {status['recycled']} replaced, "
        f"{status['lost']} messages lost"
    )


if __name__ == "__main__":
    raise SystemExit(main())
