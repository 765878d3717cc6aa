"""A reactor of its own in a thread: the daemon's side of a layer, for tests that block."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor

__all__ = ["ReactorThread"]

WAIT_SECONDS = 20.0


class ReactorThread:
    """A context in which a reactor runs in a thread."""

    def __enter__(self) -> Self:
        self.reactor: Any = EPollReactor()
        self._thread = threading.Thread(target=self.reactor.run, args=[False], daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reactor.callFromThread(self.reactor.stop)
        self._thread.join(WAIT_SECONDS)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What *function* returns, called in the reactor's thread; a Deferred is waited for."""
        done = threading.Event()
        results: list[Any] = []

        def store(result: Any) -> None:
            results.append(result)
            done.set()

        def call() -> None:
            try:
                result = function(*arguments)
            except BaseException as error:
                result = error
            if isinstance(result, Deferred):
                result.addCallbacks(store, lambda failure: store(failure.value))
            else:
                store(result)

        self.reactor.callFromThread(call)
        assert done.wait(WAIT_SECONDS), "the reactor did not answer"
        if isinstance(results[0], BaseException):
            raise results[0]
        return results[0]
