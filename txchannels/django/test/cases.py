"""Test cases whose layers are new and empty for each test, and in memory."""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any

from django.test import TestCase, TransactionTestCase

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.message import Message
from txchannels.django.test.layers import layers_for_tests, next_message, waiting_messages

__all__ = ["AroundEachTest", "ChannelTestCase", "TransactionChannelTestCase"]


class AroundEachTest:
    """For a test case: a context that begins before ``setUp`` and ends after all cleanups.

    It is inside of what Django does around each test, the test's transaction included.
    """

    def around_test(self) -> AbstractContextManager[object]:
        """The context of one test."""
        raise NotImplementedError

    def run(self, result: Any = None) -> Any:
        if _is_skipped(self):
            return super().run(result)  # type: ignore[misc]
        context = self.around_test()
        try:
            context.__enter__()
        except Exception:
            # Reported by the runner: raised, it would end the run.
            if result is None:
                raise
            result.startTest(self)
            result.addError(self, sys.exc_info())
            result.stopTest(self)
            return result
        try:
            return super().run(result)  # type: ignore[misc]
        finally:
            context.__exit__(None, None, None)

    def debug(self) -> None:
        with self.around_test():
            super().debug()  # type: ignore[misc]


class _WithLayers(AroundEachTest):
    """Test layers for a test case.

    Attributes:
        test_channel_aliases: The keys of ``CHANNEL_LAYERS`` whose layers are replaced; all
            of them when None.
        use_test_backends: Use the layers' own ``BACKEND`` with its ``TEST_CONFIG``; by
            itself, all layers are in memory.
    """

    test_channel_aliases: Collection[str] | None = None
    use_test_backends: bool = False

    @classmethod
    def setUpClass(cls) -> None:
        # What the class makes for all its tests may send, too: it is sent to nobody.
        cls.enterClassContext(cls._layers())  # type: ignore[attr-defined]
        super().setUpClass()  # type: ignore[misc]

    @classmethod
    def _layers(cls) -> AbstractContextManager[object]:
        return layers_for_tests(cls.test_channel_aliases, use_backends=cls.use_test_backends)

    def around_test(self) -> AbstractContextManager[object]:
        return self._layers()

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """Take the next message from *channel*, without running its consumer.

        Args:
            require: Fail the test if there is none.

        Returns: The message, or None.
        """
        message = next_message(channel, alias)
        if message is None and require:
            waiting = ", ".join(waiting_messages(alias)) or "none"
            self.fail(  # type: ignore[attr-defined]
                f"There is no message on {channel!r}; channels with messages: {waiting}"
            )
        return message

    def assertNoMessages(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        """Fail the test if any message was sent on the layer *alias* and not taken."""
        waiting = waiting_messages(alias)
        if waiting:
            listed = ", ".join(f"{count} on {name}" for name, count in waiting.items())
            self.fail(f"Messages were sent and not consumed: {listed}")  # type: ignore[attr-defined]


class ChannelTestCase(_WithLayers, TestCase):
    """Django's `TestCase`, with test layers: consumers run in its transaction."""


class TransactionChannelTestCase(_WithLayers, TransactionTestCase):
    """Django's `TransactionTestCase`, with test layers."""


def _is_skipped(case: Any) -> bool:
    method = getattr(case, case._testMethodName)  # noqa: SLF001 - as Django looks
    return bool(
        getattr(type(case), "__unittest_skip__", False)
        or getattr(method, "__unittest_skip__", False)
    )
