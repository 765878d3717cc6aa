"""A consumer as a class: each message makes an instance, and calls one method of it.

So what a method stores on ``self`` is there for this message alone.

Source: Channels 1, ``channels.generic.base``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from txchannels.django.auth import channel_session_user
from txchannels.django.message import Message
from txchannels.django.routing import RouteClass
from txchannels.django.sessions import channel_session
from txchannels.django.utils import name_that_thing

__all__ = ["BaseConsumer"]

Handler = Callable[..., Any]


class BaseConsumer:
    """A subclass says in `method_mapping` which of its methods takes the messages of a channel.

    The class itself is the consumer: route it with `route_class`, or with `as_route`.

    Args:
        message: The message; the instance handles it before it is made.
        kwargs: What the route's filters have matched.

    Attributes:
        message: As given.
        kwargs: As given.
    """

    #: The name of a method by channel. The method is called as ``method(message, **kwargs)``.
    method_mapping: ClassVar[Mapping[str, str]] = {}

    #: Give the methods ``message.channel_session``.
    channel_session: bool = False

    #: Give the methods ``message.user``, and the channel session that it is kept in.
    channel_session_user: bool = False

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message
        self.kwargs = kwargs
        self.dispatch(message, **kwargs)

    @classmethod
    def channel_names(cls) -> set[str]:
        """The channels whose messages it takes.

        Raises: ImproperlyConfigured: It has no method of a name that `method_mapping` gives.
        """
        for channel, name in cls.method_mapping.items():
            if not callable(getattr(cls, name, None)):
                raise ImproperlyConfigured(
                    f"{name_that_thing(cls)} has no method {name!r}, to which its "
                    f"method_mapping gives the messages of {channel!r}"
                )
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: dict[str, Any] | None = None, **filters: Any) -> RouteClass:
        """A route to this consumer.

        Args:
            attrs: Attributes that it has there instead of its own.
            filters: As of `route`.

        Raises: TypeError: *attrs* is no dict.
        """
        if attrs is None:
            return RouteClass(cls, **filters)
        if not isinstance(attrs, dict):
            raise TypeError(
                f"attrs of {name_that_thing(cls)}.as_route() must be a dict of attributes, "
                f"not {type(attrs).__name__}"
            )
        # Logs are to name the class that somebody wrote.
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return RouteClass(type(cls.__name__, (cls,), names | attrs), **filters)

    def get_handler(self, message: Message, **kwargs: Any) -> Handler:
        """The method for *message*, in the decorators that the flags ask for.

        Override it to put others around what it returns.

        Raises: ValueError: `method_mapping` does not have the message's channel.
        """
        name = self.method_mapping.get(message.channel_name)
        if name is None:
            raise ValueError(
                f"{name_that_thing(type(self))} takes no messages of {message.channel_name!r}: "
                f"its method_mapping has {', '.join(sorted(self.method_mapping)) or 'nothing'}"
            )
        handler: Handler = getattr(self, name)
        if self.channel_session_user:
            return channel_session_user(handler)
        if self.channel_session:
            return channel_session(handler)
        return handler

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Call the method for *message*."""
        return self.get_handler(message, **kwargs)(message, **kwargs)
