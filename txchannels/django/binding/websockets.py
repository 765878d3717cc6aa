"""Bindings whose messages are JSON on a stream of a WebSocket.

To clients: ``{"stream": ..., "payload": {"action", "pk", "data", "model"}}``. From them, as
the payload of a frame: ``{"action", "pk", "data"}``.

Source: Channels 1, ``channels.binding.websockets``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError

from txchannels.django.binding.actions import CREATE, DELETE
from txchannels.django.binding.base import Binding
from txchannels.django.binding.inbound import Errors
from txchannels.django.binding.rows import pk_of, values_of
from txchannels.django.binding.values import check_text, is_key
from txchannels.django.generic.websockets import BadFrame, WebsocketMultiplexer
from txchannels.django.generic.websockets.frames import (
    INCONSISTENT_DATA,
    UNACCEPTABLE_TYPE,
    parse_json,
)
from txchannels.django.message import Message

__all__ = ["ERROR", "WebsocketBinding", "WebsocketBindingWithMembers"]

#: The action of what a client is answered whose request was refused.
ERROR = "error"


class WebsocketBinding(Binding):
    """Set `model`, `stream`, and `fields` or `exclude`; define `group_names` and, if clients may
    write, `has_permission`.
    """

    model: Any = None

    #: Encodes what is sent, and names the stream.
    multiplexer_class: type[WebsocketMultiplexer] = WebsocketMultiplexer

    #: How deep the lists and objects of a client may be nested.
    max_json_depth: int = 64

    @classmethod
    def _check(cls) -> None:
        super()._check()
        if not cls.stream:
            raise cls._wrong("has no stream: set the name of the stream that it sends on")

    # To clients

    @classmethod
    def encode(cls, stream: Any, payload: Any) -> dict[str, Any]:
        """The message that sends *payload* on *stream*.

        Raises: TypeError, ValueError: JSON cannot say it.
        """
        return cls.multiplexer_class.encode(stream, payload)

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        """The payload. Override it to send more; an empty one is not sent."""
        return {
            "action": action,
            "pk": pk_of(instance, self.model),
            "data": self.serialize_data(instance),
            "model": self.model_label,
        }

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The values of the fields by name; the primary key has a place of its own."""
        return values_of(instance, [field for field in self._fields if field.serialize])

    def send_errors(self, action: str, pk: Any, errors: Errors) -> None:
        """Answer with ``{"action": "error", "request": action, "pk", "errors", "model"}``."""
        answer = {"action": ERROR, "request": action, "pk": pk, "errors": errors}
        self._answer({**answer, "model": self.model_label})

    def send_gone(self, pk: Any) -> None:
        """Answer as if the row had just been deleted: the client's page drops it."""
        self._answer({"action": DELETE, "pk": pk, "data": {}, "model": self.model_label})

    def _answer(self, payload: dict[str, Any]) -> None:
        multiplexer = self.kwargs.get("multiplexer")
        if multiplexer is not None:
            multiplexer.send(payload)
        elif self.message.reply_channel is not None:
            self.message.reply_channel.send(self.encode(self.stream, payload))

    # From clients

    def deserialize(self, message: Message) -> tuple[str, Any, dict[str, Any]]:
        """The action, the primary key and the data of a frame.

        Raises: BadFrame: It has none, or they are of another type.
        """
        content = self._read(message)
        action = content.get("action")
        if not isinstance(action, str):
            raise self.bad_request("has no action that is text")
        pk = None if action == CREATE else self._read_pk(content)
        data = content.get("data")
        if data is None and action == DELETE:
            data = {}
        if not isinstance(data, dict):
            raise self.bad_request("has no data that is an object")
        return action, pk, data

    def bad_request(self, reason: str) -> ValueError:
        return BadFrame(INCONSISTENT_DATA, reason)

    def _read(self, message: Message) -> dict[str, Any]:
        text = message.get("text")
        if text is None:
            raise BadFrame(UNACCEPTABLE_TYPE, "is binary, and should be JSON")
        try:
            content = parse_json(text, self.max_json_depth)
        except RecursionError:
            raise self.bad_request("is JSON nested much too deep") from None
        except ValueError as error:
            raise BadFrame(INCONSISTENT_DATA, f"is no JSON: {str(error)!r:.200}") from error
        if not isinstance(content, dict):
            raise self.bad_request("is no object with an action")
        return content

    def _read_pk(self, content: dict[str, Any]) -> Any:
        pk = content.get("pk")
        try:
            if not is_key(pk):
                raise TypeError
            check_text(pk)
            return self.model._meta.pk.to_python(pk)
        except (ValidationError, TypeError, ValueError, OverflowError, RecursionError):
            raise self.bad_request(
                f"has no pk such as those of {self.model_label}: {pk!r:.80}"
            ) from None


class WebsocketBindingWithMembers(WebsocketBinding):
    """Sends more than fields: attributes, properties, and what methods return."""

    model: Any = None

    #: Paths of attributes: ``"a.b"`` is sent as ``a__b``. What can be called, is.
    send_members: Sequence[str] = ()

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """As of `WebsocketBinding`, and the members."""
        members = {path.replace(".", "__"): _follow(instance, path) for path in self.send_members}
        return {**super().serialize_data(instance), **members}


def _follow(instance: Any, path: str) -> Any:
    """What the attributes of *path* lead to; None where there is nothing on the way."""
    value = instance
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
        # A relation's manager can be called, too, but is no value.
        if callable(value) and not getattr(value, "do_not_call_in_templates", False):
            value = value()
    return value
