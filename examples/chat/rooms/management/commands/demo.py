"""`manage.py demo`: two users and three rooms to try the chat with."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils.text import slugify

from rooms.models import Room

USERS = ("demo", "ada")

ROOMS = {
    "Lobby": (
        "Come in, the kettle is on",
        ("ada", "Hello, and welcome! Everything you see comes from plain, synchronous Django."),
        ("ada", "Open this page in a second window, log in as somebody else, and say hello."),
        ("demo", "And if I restart the server in the middle of a sentence?"),
        ("ada", "Try it: stop it, write something, start it again. Nothing gets lost."),
    ),
    "Synchronous code": (
        "No async, no await, no problem",
        ("demo", "Where are the coroutines?"),
        ("ada", "There are none. rooms/consumers.py: three functions that block and return."),
    ),
    "Show and tell": (
        "What are you building?",
        ("ada", "Show us! Links work, too: https://www.djangoproject.com/"),
    ),
}


class Command(BaseCommand):
    """Idempotent: what is there already stays as it is, except the demo users' passwords."""

    help = "Make the users demo/demo and ada/ada, and rooms with a few messages."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("Users with such passwords are for a demo: DEBUG is off.")
        users = {name: make_user(name) for name in USERS}
        for name, (topic, *said) in ROOMS.items():
            make_room(name, topic, [(users[author], text) for author, text in said])
        logins = " or ".join(f"{name} / {name}" for name in USERS)
        self.stdout.write(
            self.style.SUCCESS(f"Log in as {logins}; the server says where when it listens.")
        )


def make_user(name: str) -> Any:
    """The user *name*, whose password is the name."""
    user, _ = get_user_model().objects.get_or_create(username=name)
    if not user.check_password(name):
        user.set_password(name)
        user.save()
    return user


def make_room(name: str, topic: str, said: list[tuple[Any, str]]) -> None:
    """The room *name*; it starts with what is *said*, once."""
    room = Room.objects.filter(slug=slugify(name)).first()
    if room is None:
        room = Room(name=name, topic=topic)
        room.full_clean()
        room.save()
    for author, text in said:
        nonce = uuid5(NAMESPACE_URL, f"{name}: {text}")
        room.messages.get_or_create(author=author, nonce=nonce, defaults={"text": text})
