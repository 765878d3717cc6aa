"""A program that sends what is due, beside others on the same database: each line is one sent.

Arguments: the database's file; how many threads; ``fill N`` or ``race``. To race, it says
that it is there and waits for its standard input to end.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import django
from django.conf import settings

COUNT_TRIES = 200


class Outlet:
    """A layer that says what is sent on it."""

    alias = "default"

    def send_many(self, sends: Any, *, wait: float = 0.0) -> list[Any]:
        text = "".join(f"{content['n']}\n" for _, _, content in sends)
        sys.stdout.write(text)
        sys.stdout.flush()
        return []


def fill(count: int) -> None:
    from django.core.management import call_command
    from django.utils import timezone

    from txchannels.django.delay.models import DelayedMessage

    call_command("migrate", verbosity=0)
    DelayedMessage.objects.bulk_create(
        DelayedMessage(channel_name="out", content=f'{{"n": {n}}}', due_date=timezone.now())
        for n in range(count)
    )


def race(threads: int) -> None:
    from django.db import OperationalError, connection

    from txchannels.django.delay.models import DelayedMessage
    from txchannels.django.delay.sending import send_due

    def send() -> None:
        try:
            for _ in range(COUNT_TRIES):
                try:
                    send_due(Outlet())
                    if not DelayedMessage.objects.exists():
                        return
                except OperationalError as error:
                    sys.stderr.write(f"{error}\n")  # locked by the others for too long
        finally:
            connection.close()

    sys.stdout.write("there\n")
    sys.stdout.flush()
    sys.stdin.read()
    racers = [threading.Thread(target=send) for _ in range(threads)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()


def main(database: str, threads: str, what: str, *more: str) -> None:
    settings.configure(
        INSTALLED_APPS=["txchannels.django", "txchannels.django.delay"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        USE_TZ=True,
    )
    django.setup()
    if what == "fill":
        fill(int(*more))
        return
    from txchannels.django.delay import sending

    sending.BATCH = 7
    race(int(threads))


if __name__ == "__main__":
    main(*sys.argv[1:])
