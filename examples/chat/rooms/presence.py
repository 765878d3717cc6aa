"""Who is in a room, through several tabs, lost sockets and restarts.

The database knows whose a socket is, and the room's group knows which sockets live: a
socket's membership ends with the socket, whatever becomes of our code. So people are here
whose socket is in both, and a row that a killed daemon left behind is swept away by the
next look.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from rooms.models import Presence, Room
from rooms.people import as_person

__all__ = ["changed", "enter", "leave", "people"]


def enter(room: Room, user: AbstractBaseUser, socket: str) -> None:
    """Note that *socket*, a member of the room's group, is *user*'s."""
    Presence.objects.get_or_create(socket=socket, defaults={"room": room, "user": user})


def leave(socket: str) -> Room | None:
    """Forget *socket*. Returns: the room that it was in, unless it was in none."""
    row = Presence.objects.select_related("room").filter(socket=socket).first()
    if row is None:
        return None
    row.delete()
    return row.room


def people(room: Room) -> list[dict[str, Any]]:
    """Everyone who is in *room*, once each, by name."""
    group = room.group
    live = set(group.channel_layer.group_channels(group.name))
    rows = list(room.presences.select_related("user"))
    Presence.objects.filter(pk__in=[row.pk for row in rows if row.socket not in live]).delete()
    users = {row.user for row in rows if row.socket in live}
    return [as_person(user) for user in sorted(users, key=lambda user: user.get_username())]


@transaction.atomic
def changed(room: Room) -> dict[str, Any]:
    """Who is in *room* now, after a change: the list, and the number of the change.

    Two workers may look at the same time and tell the browsers in either order; the one
    that looked last has the higher number, because the first line makes the other wait.
    """
    Room.objects.filter(pk=room.pk).update(people_version=F("people_version") + 1)
    room.refresh_from_db(fields=["people_version"])
    return {"people": people(room), "version": room.people_version}
