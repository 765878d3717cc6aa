"""From a browser to a row: what a client asks for is allowed or not, checked, and done."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.apps import apps
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DataError, IntegrityError, connections, router
from django.db.models import F
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy

from txchannels.django.auth import channel_session_user
from txchannels.django.binding.actions import CREATE, DELETE, UPDATE
from txchannels.django.binding.delivery import atomic_change
from txchannels.django.binding.registration import ALL_FIELDS, Declaration
from txchannels.django.binding.values import assign, check_instance, writable
from txchannels.django.message import Message
from txchannels.django.sessions import channel_session, enforce_ordering
from txchannels.django.utils import name_that_thing

__all__ = ["Inbound"]

logger = logging.getLogger("django.channels")

#: How much a client is told of one error: it may quote what the client has sent.
MAX_ERROR_LENGTH = 300

NOT_SAVED = gettext_lazy("This conflicts with something else, so it could not be done.")

Errors = dict[str, list[str]]


class BindingConsumer:
    """`Binding.consumer`: takes the frames of a stream, or of a whole socket."""

    def __init__(self, binding: type[Inbound]) -> None:
        self._binding = binding
        # Logs name a consumer by these.
        self.__name__ = "consumer"
        self.__qualname__ = f"{binding.__qualname__}.consumer"
        self.__module__ = binding.__module__

    @property
    def strict_ordering(self) -> bool:
        """Asked by a demultiplexer, which keeps the order for all its streams."""
        return self._binding.strict_ordering

    def channel_names(self) -> set[str]:
        """The channels whose messages it takes."""
        return {"websocket.receive"}

    def __call__(self, message: Message, **kwargs: Any) -> None:
        """Do what the client asks for; other messages of its socket are ignored."""
        if message.channel_name in self.channel_names():
            self._binding.get_handler(**kwargs)(message, **kwargs)


class _ConsumerOfClass:
    """Makes ``Binding.consumer`` for the class that it is asked of."""

    def __get__(self, instance: Any, owner: type[Inbound]) -> BindingConsumer:
        return BindingConsumer(owner)


class Inbound(Declaration):
    """The half of a binding that receives.

    Attributes:
        message: The message that asks for something.
        kwargs: What the route has matched; in a demultiplexer, ``multiplexer`` too.
        user: Who asks: ``message.user``, or somebody anonymous.
        action: What is asked for.
        pk: Of which row; None for a new one.
        data: With which values.
    """

    #: Give it the channel session's user. Its demultiplexer has to have `http_user`.
    channel_session_user: bool = True

    #: Give it ``self.message.channel_session``.
    channel_session: bool = False

    #: See `enforce_ordering`; needed only where ``--unordered`` has given up the order.
    strict_ordering: bool = False

    #: Gone since Channels 1.0: True is refused.
    slight_ordering: bool = False

    consumer = _ConsumerOfClass()

    message: Any = None
    kwargs: dict[str, Any]
    user: Any = None
    action: Any = None
    pk: Any = None
    data: Any = None

    # To be defined

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Whether *user* may do that; if not, nothing happens, and nobody is told."""
        raise NotImplementedError(
            f"{name_that_thing(type(self))} must define has_permission(user, action, pk), "
            "or its consumer must not be routed"
        )

    def deserialize(self, message: Message) -> tuple[str, Any, Any]:
        """What *message* asks for: an action, a primary key or None, and data."""
        raise NotImplementedError(f"{name_that_thing(type(self))} must define deserialize(message)")

    def send_errors(self, action: str, pk: Any, errors: Errors) -> None:
        """Tell the client why *action* was not done: texts by field."""

    def send_gone(self, pk: Any) -> None:
        """Tell the client that there is no row *pk*: somebody has deleted it."""

    def bad_request(self, reason: str) -> ValueError:
        """What to raise where a message is none that the binding understands."""
        return ValueError(f"The message {reason}")

    # To be overridden

    def get_queryset(self) -> Any:
        """The rows that `user` may change at all. By itself, those of the default manager."""
        return self.model._default_manager.all()

    def get_choices(self, field: Any) -> Any:
        """The rows that a client may have *field*, a relation, point to.

        By itself, those of the default manager of its model, as of a model form.
        """
        return field.remote_field.model._default_manager.all()

    def prepare(self, instance: Any, action: str) -> None:
        """Change *instance* before it is validated and saved: set its owner, say."""

    # What calls them

    @classmethod
    def get_handler(cls, **kwargs: Any) -> Any:
        """`trigger_inbound`, in the decorators that the flags ask for.

        Args:
            kwargs: Those of the message.

        Raises: ValueError: `slight_ordering` is set.
        """
        if cls.slight_ordering:
            raise ValueError(
                f"{name_that_thing(cls)} sets slight_ordering, which is gone: "
                "a socket's messages are in order without it; take it away"
            )
        handler: Any = cls.trigger_inbound
        if cls.channel_session_user:
            handler = channel_session_user(handler)
        elif cls.channel_session:
            handler = channel_session(handler)
        if cls.strict_ordering and "multiplexer" not in kwargs:
            handler = enforce_ordering(handler)
        return handler

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what *message* asks for."""
        self = cls()
        self.message = message
        self.kwargs = kwargs
        # Not `or`: that would look a user up whom nobody asks for.
        self.user = message.user if hasattr(message, "user") else _anonymous()
        self.action, self.pk, self.data = self.deserialize(message)
        try:
            self.run_action(self.action, self.pk, self.data)
        except ValidationError as error:
            self.send_errors(self.action, self.pk, _texts(error))
        except cls.model.DoesNotExist:
            self.send_gone(self.pk)
        except (IntegrityError, DataError, OverflowError) as error:
            # Two clients at a time, a protected row; or what the model itself forgot to check.
            logger.warning(
                "%s could not %s %.100r for %s: %.300s",
                *(name_that_thing(cls), self.action, self.pk, message.reply_channel, error),
            )
            self.send_errors(self.action, self.pk, {NON_FIELD_ERRORS: [str(NOT_SAVED)]})

    def run_action(self, action: str, pk: Any, data: Any) -> None:
        """Do it, if `has_permission`.

        Raises:
            ValueError: There is no such action.
            ValidationError, DoesNotExist: The client is told.
        """
        if not self.has_permission(self.user, action, pk):
            return
        if action == CREATE:
            self.create(data)
        elif action == UPDATE:
            self.update(pk, data)
        elif action == DELETE:
            self.delete(pk)
        else:
            raise self.bad_request(f"asks for an unknown action: {action!r:.80}")

    def create(self, data: dict[str, Any]) -> None:
        """Make a row of *data*, in which only known and editable fields count."""
        self._write(self.model(), data, CREATE)

    def update(self, pk: Any, data: dict[str, Any]) -> None:
        """Change the row *pk*: those fields that *data* has.

        It is locked meanwhile, so that of two clients none undoes what the other does.
        """
        with atomic_change(router.db_for_write(self.model)):
            self._lock(pk)
            self._write(self._find(pk), data, UPDATE)

    def delete(self, pk: Any) -> None:
        """Delete the row *pk*."""
        self._find(pk).delete()

    def _lock(self, pk: Any) -> None:
        """Keep others from changing the row before the transaction ends."""
        using = router.db_for_write(self.model)
        # Not `get_queryset`, which may be one that cannot be locked.
        rows = self.model._base_manager.using(using).filter(pk=pk)
        with _huge_keys_are_of_no_row(self.model):
            if connections[using].features.has_select_for_update:
                rows.select_for_update().values_list("pk").first()
            else:
                # SQLite: who has read first may not be allowed to write any more.
                key = self.model._meta.pk.attname
                rows.update(**{key: F(key)})

    def _find(self, pk: Any) -> Any:
        using = router.db_for_write(self.model)
        with _huge_keys_are_of_no_row(self.model):
            return self.get_queryset().using(using).get(pk=pk)

    def _write(self, instance: Any, data: dict[str, Any], action: str) -> None:
        is_new = action == CREATE
        fields = writable(self._fields, is_new=is_new, named=self._named())
        links, errors = assign(instance, fields, data, self.get_choices)
        if is_new:
            errors |= _missing_links(fields, data)
        self.prepare(instance, action)
        check_instance(instance, fields if is_new else set(fields) & set(data), errors)
        using = router.db_for_write(self.model, instance=instance)
        with atomic_change(using) if links else nullcontext():
            if is_new:
                # Never over a row that is there.
                instance.save(using=using, force_insert=True)
            for name, pks in links.items():
                getattr(instance, name).set(pks)
            if links or not is_new:
                # After the links, so that what is sent has them.
                instance.save(using=using)

    def _named(self) -> list[str]:
        return [] if self.fields is None or ALL_FIELDS in self.fields else list(self.fields)


@contextmanager
def _huge_keys_are_of_no_row(model: Any) -> Iterator[None]:
    try:
        yield
    except OverflowError:
        raise model.DoesNotExist from None


def _missing_links(fields: dict[str, Any], data: dict[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [ValidationError(field.error_messages["blank"], code="blank")]
        for name, field in fields.items()
        if field.many_to_many and not field.blank and name not in data
    }


def _texts(error: ValidationError) -> Errors:
    by_field = error.message_dict if hasattr(error, "error_dict") else None
    return {
        name: [Truncator(text).chars(MAX_ERROR_LENGTH) for text in dict.fromkeys(texts)]
        for name, texts in (by_field or {NON_FIELD_ERRORS: error.messages}).items()
    }


def _anonymous() -> Any:
    if not apps.is_installed("django.contrib.auth"):
        return None
    from django.contrib.auth.models import AnonymousUser

    return AnonymousUser()
