"""Readable names of consumers, for logs.

Source: Channels 1, ``channels.utils``.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

__all__ = ["name_that_thing"]


def name_that_thing(thing: Any) -> str:
    """The dotted name of a function, method or class; of anything else, that of its class."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    if inspect.ismethod(thing):
        # A method is named after the class that it was called on, not the one that has it.
        owner = thing.__self__
        owner_class = owner if isinstance(owner, type) else type(owner)
        return f"{_dotted(owner_class)}.{thing.__name__}"
    if isinstance(getattr(thing, "__qualname__", None), str):
        return _dotted(thing)
    return _dotted(type(thing))


def _dotted(thing: Any) -> str:
    module = getattr(thing, "__module__", None)
    return f"{module}.{thing.__qualname__}" if module else str(thing.__qualname__)
