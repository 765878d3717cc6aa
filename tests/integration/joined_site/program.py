"""A program that is not the daemon: does what each line of its input says, and tells how it was.

A line is ``where kind name text``: where is ``here``, ``fork``, ``process`` or ``threads``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time

import django

THREADS = 20


def send(kind: str, name: str, text: str) -> str:
    from txchannels.django import Channel, Group
    from txchannels.errors import LayerUnavailable

    try:
        (Group if kind == "group" else Channel)(name).send({"text": text})
    except LayerUnavailable as error:
        return f"LayerUnavailable: {error}"
    return "sent"


def in_a_fork(*what: str) -> str:
    child = os.fork()
    if not child:
        os._exit(send(*what) != "sent")
    return "sent" if os.waitpid(child, 0)[1] == 0 else "failed in the child"


def in_a_process(*what: str) -> str:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.apply(send, what)


def in_threads(kind: str, name: str, text: str) -> str:
    outcomes: list[str] = []

    def run(number: int) -> None:
        outcomes.append(send(kind, name, f"{text}-{number}"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "sent" if outcomes == ["sent"] * THREADS else str(sorted(set(outcomes)))


DO = {"here": send, "fork": in_a_fork, "process": in_a_process, "threads": in_threads}
UNWANTED = ("twisted.internet.reactor", "txredisapi", "twisted.internet")


def main() -> None:
    django.setup()
    for line in sys.stdin:
        where, *what = line.split()
        begun = time.monotonic()
        told = {
            "outcome": DO[where](*what),
            "seconds": time.monotonic() - begun,
            "unwanted": [name for name in UNWANTED if name in sys.modules],
        }
        sys.stdout.write(f"{json.dumps(told)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
