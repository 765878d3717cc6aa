"""``python -m txchannels reload`` and ``status``: orders to a daemon that runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from txchannels.errors import LayerError
from txchannels.layers.ipc.sockets import default_path, dial

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the daemon, and wait for what it says. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    module = options.settings or os.environ.get("DJANGO_SETTINGS_MODULE", "")
    if not options.socket and not module:
        return _refuse("name the daemon with --socket or --settings")
    try:
        answer = _ask(options.socket or default_path(module), options.order, options.timeout)
    except LayerError as error:
        return _refuse(str(error))
    if options.order == "status":
        _show_status(answer, is_json=options.json)
        return 0
    if not answer["ok"]:
        return _refuse(f"the reload failed, the former code runs on: {answer['reason']}")
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
    parser.add_argument(
        "--timeout", type=float, default=300.0, help="seconds to wait for the outcome [300]"
    )
    parser.add_argument("--json", action="store_true", help="show the status as JSON")
    return parser


def _ask(path: str, order: str, seconds: float) -> Any:
    """What the daemon at *path* says.

    Raises: LayerError: It is not there, refuses, or says nothing in time.
    """
    said: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    link = dial(path)
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
