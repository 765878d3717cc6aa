#!/usr/bin/env python3
"""Kill workers, reload, and keep the load up: does any client notice?

``bench/soak.py [--kills 1000] [--reloads 200] [--sockets 500] [--minutes 10]``. It needs what the
tests need (``make venv``), starts a daemon with worker processes, and prints the account of what
its clients have seen beside what the daemon says. With ``--minutes``, it goes on for so long,
with a reload now and then, looks at the daemon's memory, and fails where that grows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.storm import Account, Storm, kill_workers, lost_with
from tests.integration.supervised import Site, Supervised

#: Between two looks at the daemon's memory.
LOOK_SECONDS = 10.0

#: In the soak, there is a reload after so many looks.
LOOKS_TO_RELOAD = 3

#: How long a soak runs before its memory counts: buffers and caches are filled then.
WARM_PART = 0.2

#: The memory grows when the median of the latter half of the looks is above that of the former
#: by more than this part of it, and by more than so many bytes.
GROWTH_PART = 0.02
GROWTH_BYTES = 2**20

#: Fewer looks say nothing about the memory.
LEAST_LOOKS = 4


def main() -> int:
    """Returns: 0 if no client has noticed what it should not."""
    options = _parser().parse_args()
    failures = 0
    if options.kills:
        with _daemon(options) as daemon:
            account = _kill(daemon, options)
            failures += _show(f"{options.kills} kills", daemon, account, are_kills=True)
    if options.reloads:
        with _daemon(options) as daemon:
            account = _reload(daemon, options)
            failures += _show(f"{options.reloads} reloads", daemon, account, are_kills=False)
    if options.minutes:
        with _daemon(options) as daemon:
            account, looks = _soak(daemon, options)
            failures += _show(f"{options.minutes:g} minutes", daemon, account, are_kills=False)
            failures += _check_memory(looks)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/soak.py", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--kills", type=int, default=1000, help="of random workers (%(default)s)")
    add("--reloads", type=int, default=200, help="each to its end (%(default)s)")
    add("--sockets", type=int, default=500, help="that number their messages (%(default)s)")
    add("--visitors", type=int, default=4, help="that ask for a page (%(default)s)")
    add("--rate", type=float, default=200.0, help="messages a second of all sockets (%(default)s)")
    add("--minutes", type=float, default=0.0, help="go on so long, and look at the memory")
    add("--processes", type=int, default=4, help="worker processes (%(default)s)")
    add("--threads", type=int, default=8, help="of each (%(default)s)")
    add("--at-once", type=int, default=2, help="workers that are killed together (%(default)s)")
    return parser


@contextmanager
def _daemon(options: argparse.Namespace):
    """A fresh one; it has to end in good order."""
    with tempfile.TemporaryDirectory(prefix="txchannels-soak-") as folder:
        daemon = Supervised(
            Site(Path(folder)),
            f"--threads={options.threads}",
            "--ws-serial-timeout=600",
            "--response-timeout=600",
            processes=options.processes,
            environment={"BUSY_SECONDS": "0.03"},
        )
        with daemon:
            yield daemon
            code = daemon.stop()
            print(f"  {'exit code':24}{code}")


def _storm(daemon: Supervised, options: argparse.Namespace) -> Storm:
    pause = options.sockets / options.rate
    return Storm(
        daemon,
        sockets=options.sockets,
        visitors=options.visitors,
        pause=pause,
        between=pause / 10,
    )


def _kill(daemon: Supervised, options: argparse.Namespace) -> Account:
    with _storm(daemon, options) as storm:
        kill_workers(daemon, options.kills, options.at_once, lambda done: _tell(done, "kills"))
        storm.goes_on()
    return storm.account


def _reload(daemon: Supervised, options: argparse.Namespace) -> Account:
    with _storm(daemon, options) as storm:
        for number in range(options.reloads):
            daemon.reload()
            _tell(number + 1, "reloads")
        storm.goes_on()
    return storm.account


def _soak(daemon: Supervised, options: argparse.Namespace) -> tuple[Account, list[int]]:
    """Returns: what the clients have seen, and the daemon's memory at each look once it is warm."""
    looks: list[tuple[float, int]] = []
    with _storm(daemon, options) as storm:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < options.minutes * 60:
            looks.append((passed, daemon.rss))
            rss, count = daemon.rss / 2**20, storm.account.answered
            print(f"  {passed:6.0f} s: {rss:.1f} MiB, {count} messages", flush=True)
            if len(looks) % LOOKS_TO_RELOAD == 0:
                daemon.reload()
            time.sleep(LOOK_SECONDS)
    warm = [rss for passed, rss in looks if passed >= options.minutes * 60 * WARM_PART]
    return storm.account, warm


def _check_memory(looks: list[int]) -> int:
    """Print how the memory has gone. Returns: 1 if it has grown, or was not looked at enough."""
    if len(looks) < LEAST_LOOKS:
        print(f"  MEMORY NOT SHOWN: {len(looks)} looks, of {LEAST_LOOKS}: give more --minutes")
        return 1
    half = len(looks) // 2
    former, latter = statistics.median(looks[:half]), statistics.median(looks[-half:])
    print(f"  {'memory, former half':24}{former / 2**20:.2f} MiB (median)")
    print(f"  {'memory, latter half':24}{latter / 2**20:.2f} MiB (median)")
    growth = latter - former
    if growth <= max(GROWTH_BYTES, former * GROWTH_PART):
        return 0
    print(
        f"  MEMORY GROWS: by {growth / 2**20:.2f} MiB, {growth / former:.1%}; "
        f"{GROWTH_PART:.0%} and {GROWTH_BYTES / 2**20:g} MiB are allowed"
    )
    return 1


def _tell(done: int, what: str) -> None:
    if done % 50 == 0 and sys.stderr.isatty():
        print(f"  {done} {what}", file=sys.stderr)


def _show(what: str, daemon: Supervised, account: Account, *, are_kills: bool) -> int:
    """Print the account. Returns: how many things are in it that must not be."""
    told, booked = daemon.tells(), lost_with(daemon)
    print(f"\n{what}, {account.sent} messages, {account.statuses.total()} requests:")
    lost_requests = account.statuses[502] if are_kills else 0
    wrong = {
        "sockets closed": len(account.closed),
        "failed requests": account.failed - lost_requests,
        "duplicates": len(account.duplicates),
        "out of order": len(account.out_of_order),
        "not accounted for": account.sent - account.answered - len(account.lost),
        "not in the log": told["lost"] - booked.total(),
        "lost, and not counted": max(0, len(account.lost) - booked["websocket.receive"])
        + max(0, lost_requests - booked["http.request"]),
    }
    if not are_kills:
        wrong["lost"] = told["lost"] + len(account.lost)
    for name, count in wrong.items():
        print(f"  {name:24}{count}")
    if are_kills:
        lost = f"{len(account.lost)} messages, {lost_requests} requests (502)"
        print(f"  {'lost, for clients':24}{lost}")
        print(
            f"  {'lost, for the daemon':24}{booked['websocket.receive']} messages, "
            f"{booked['http.request']} requests: those may have been answered just before"
        )
    print(f"  {'workers started again':24}{told['restarts']}")
    print(f"  {'generation':24}{told['generation']}")
    print(f"  {'memory of the daemon':24}{daemon.rss / 2**20:.1f} MiB")
    for error in [*account.closed, *account.errors][:10]:
        print(f"    {error}")
    return sum(map(abs, wrong.values()))


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    raise SystemExit(main())
