"""From a row to browsers: what a save or a delete means for each group is told to it.

The groups of a row before the change are compared with those after it: those that it has
left are told of its deletion, those in which it has stayed of an update, those that it has
joined of its creation, in this order.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from threading import Lock, get_ident
from typing import Any, NamedTuple, NoReturn

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.binding.actions import CREATE, DELETE, UPDATE
from txchannels.django.binding.delivery import send_to_groups, when_committed
from txchannels.django.binding.registration import Declaration
from txchannels.django.binding.rows import NoRow, StoredRow, as_instance_of, as_stored, pk_of
from txchannels.django.channel import Group
from txchannels.django.utils import name_that_thing

__all__ = ["Outbound"]

#: Where a change notes the groups from before it, on the instance: lists by binding class.
#: A save may begin another one of the same instance, and threads may share it.
NOTES = "_binding_group_names"

#: Saves that fail leave their notes behind; the oldest are dropped.
MAX_NOTES = 100

_notes_lock = Lock()


class _Before(NamedTuple):
    thread: int
    groups: list[str]
    row: StoredRow | None


class Outbound(Declaration):
    """The half of a binding that sends.

    Attributes:
        instance: The row that is sent, as an instance of `model`.
        signal_kwargs: What came with the signal: ``using``, ``update_fields`` and so on.
    """

    #: The name of the stream that it sends on.
    stream: str | None = None

    #: The alias of the layer that its groups are on.
    layer_alias: str = DEFAULT_CHANNEL_LAYER

    #: Send when the transaction is committed; False sends as soon as a row is saved, and
    #: so also what is rolled back afterwards.
    send_on_commit: bool = True

    instance: Any = None
    signal_kwargs: dict[str, Any] | None = None

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        """The names of the groups that are told of *instance*. To be defined.

        It is asked before a change, with the row as it is stored, and after it. It must
        not change anything.
        """
        raise NotImplementedError(f"{name_that_thing(cls)} must define group_names(cls, instance)")

    @classmethod
    def encode(cls, stream: Any, payload: Any) -> dict[str, Any]:
        """The message that sends *payload* on *stream*. To be defined."""
        raise NotImplementedError(
            f"{name_that_thing(cls)} must define encode(cls, stream, payload)"
        )

    def serialize(self, instance: Any, action: str) -> Any:
        """What is sent of *instance*, for `encode`; what is empty is not sent. To be defined."""
        raise NotImplementedError(
            f"{name_that_thing(type(self))} must define serialize(instance, action)"
        )

    # Django's signals

    @classmethod
    def pre_save_receiver(cls, instance: Any, **kwargs: Any) -> None:
        if not kwargs.get("raw"):
            action = CREATE if instance._state.adding else UPDATE
            cls.pre_change_receiver(instance, action, **kwargs)

    @classmethod
    def post_save_receiver(cls, instance: Any, created: bool, **kwargs: Any) -> None:
        # A fixture's rows come in any order, so nothing that they refer to need be there.
        if not kwargs.get("raw"):
            action = CREATE if created else UPDATE
            cls.post_change_receiver(instance, action, created=created, **kwargs)

    @classmethod
    def pre_delete_receiver(cls, instance: Any, **kwargs: Any) -> None:
        cls.pre_change_receiver(instance, DELETE, **kwargs)

    @classmethod
    def post_delete_receiver(cls, instance: Any, **kwargs: Any) -> None:
        cls.post_change_receiver(instance, DELETE, **kwargs)

    # A change

    @classmethod
    def pre_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
        """Note the groups of the row as it still is."""
        row = None
        if action == DELETE:
            groups = cls._groups_of(as_instance_of(cls.model, instance))
        else:
            row = cls._row_to_overwrite(instance, action, kwargs.get("using"))
            groups = [] if row is None else cls._groups_of_stored(row)
        with _notes_lock:
            notes = vars(instance).setdefault(NOTES, {}).setdefault(cls, [])
            notes.append(_Before(get_ident(), groups, row))
            del notes[:-MAX_NOTES]

    @classmethod
    def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
        """Tell the groups from before and those of now what has happened."""
        noted = _take_note(instance, cls)
        before: list[str] = [] if noted is None or action == CREATE else noted.groups
        instance = as_instance_of(cls.model, instance)
        if action == DELETE:
            cls.send_messages(instance, before, DELETE, **kwargs)
            return
        instance = as_stored(instance, cls.model, kwargs)
        now = cls._groups_of(instance)
        # Who has lost sight of a row is not shown what it has become.
        seen = noted.row.instance if noted and noted.row and noted.row.is_read else instance
        left = [name for name in before if name not in now]
        cls.send_messages(seen, left, DELETE, **kwargs)
        stayed = [name for name in before if name in now]
        cls.send_messages(instance, stayed, UPDATE, **kwargs)
        joined = [name for name in now if name not in before]
        cls.send_messages(instance, joined, CREATE, **kwargs)

    @classmethod
    def send_messages(
        cls, instance: Any, group_names: Iterable[str], action: str, **kwargs: Any
    ) -> None:
        """Tell *group_names* that *action* has happened to *instance*, once that is committed.

        What is sent is what *instance* says now.
        """
        groups = [Group(name, alias=cls.layer_alias) for name in group_names]
        if not groups:
            return
        self = cls()
        self.instance = instance
        self.signal_kwargs = kwargs
        payload = self.serialize(instance, action)
        if payload is None or payload == {}:
            return
        message = cls.encode(self.stream, payload)
        about = f"the {action} of {cls.model_label} {pk_of(instance, cls.model)!r}"
        send = functools.partial(send_to_groups, groups, message, about)
        if cls.send_on_commit:
            when_committed(send, kwargs.get("using"))
        else:
            send()

    @classmethod
    def _groups_of(cls, instance: Any) -> list[str]:
        names = cls.group_names(instance)
        if isinstance(names, str | bytes):
            cls._refuse_text(names)
        return list(dict.fromkeys(names or ()))

    @classmethod
    def _refuse_text(cls, names: Any) -> NoReturn:
        raise TypeError(
            f"{name_that_thing(cls)}.group_names() must return a list of names, "
            f"not the text {names!r}"
        )

    @classmethod
    def _groups_of_stored(cls, row: StoredRow) -> list[str]:
        try:
            return cls._groups_of(row.instance)
        except NoRow:
            return []

    @classmethod
    def _row_to_overwrite(cls, instance: Any, action: str, using: str | None) -> StoredRow | None:
        """None if Django will insert a row in any case."""
        pk = pk_of(instance, cls.model)
        is_new = action == CREATE and cls.model._meta.pk.has_default()
        return None if pk is None or is_new else StoredRow(cls.model, pk, using)


def _take_note(instance: Any, binding: type[Outbound]) -> _Before | None:
    """What this thread has noted last for *binding*; nothing stays on the instance."""
    with _notes_lock:
        by_binding: dict[Any, list[_Before]] = vars(instance).get(NOTES, {})
        notes = by_binding.get(binding, [])
        mine = [note for note in notes if note.thread == get_ident()]
        if not mine:
            return None
        notes.remove(mine[-1])
        if not notes:
            del by_binding[binding]
        if not by_binding:
            del vars(instance)[NOTES]
        return mine[-1]
