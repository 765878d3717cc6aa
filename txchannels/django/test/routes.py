"""`apply_routes`: other routes as long as a test, a function or a block lasts."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Collection
from contextlib import ContextDecorator
from types import FunctionType
from typing import Any, Self
from unittest import TestCase

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.asgi import channel_layers
from txchannels.django.routing import Router

__all__ = ["apply_routes"]


class apply_routes(ContextDecorator):  # noqa: N801 - called as a function
    """Use *routes*, and no others, on the layers *aliases*.

    As a context manager, or a decorator of a function, method or class: of a test case,
    around each test from its ``setUp`` on; of any other class, around its methods ``test*``.

    Args:
        routes: A route, a list of routes or of such lists, or what ``ROUTING`` may be: a
            dict of channel to consumer, or the dotted path of a routing.
        aliases: Keys of ``CHANNEL_LAYERS``, or one.

    Raises: ImproperlyConfigured: They are no routes; says which.
    """

    def __init__(self, routes: Any, aliases: Collection[str] | str | None = None) -> None:
        self._routes = routes
        self._aliases = [aliases] if isinstance(aliases, str) else aliases
        self._entered: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        router = Router(_flatten(self._routes))
        old: dict[str, Any] = {}
        self._entered.append(old)
        for alias in [DEFAULT_CHANNEL_LAYER] if self._aliases is None else self._aliases:
            layer = channel_layers[alias]
            rerouted = copy.copy(layer)
            rerouted.routing, rerouted.router = self._routes, router
            old[alias] = layer
            channel_layers.set(alias, rerouted)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for alias, layer in self._entered.pop().items():
            channel_layers.set(alias, layer)

    def __call__(self, decorated: Any) -> Any:
        if not inspect.isclass(decorated):
            if inspect.iscoroutinefunction(decorated):
                return self._decorate_async(decorated)
            return super().__call__(decorated)
        if issubclass(decorated, TestCase):
            self._decorate_set_up(decorated)
        else:
            for name, value in list(vars(decorated).items()):
                if name.startswith("test") and isinstance(value, FunctionType):
                    setattr(decorated, name, self(value))
        return decorated

    def _decorate_async(self, decorated: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(decorated)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await decorated(*args, **kwargs)

        return inner

    def _decorate_set_up(self, case: type[TestCase]) -> None:
        set_up = case.setUp

        @functools.wraps(set_up)
        def inner(test: TestCase) -> None:
            test.enterContext(self)
            set_up(test)

        case.setUp = inner  # type: ignore[assignment, method-assign]


def _flatten(routes: Any) -> Any:
    """A routing: lists in lists are one list."""
    if isinstance(routes, str | dict):
        return routes
    if not isinstance(routes, list | tuple):
        return [routes]
    flat: list[Any] = []
    for entry in routes:
        flat += _flatten(entry) if isinstance(entry, list | tuple) else [entry]
    return flat
