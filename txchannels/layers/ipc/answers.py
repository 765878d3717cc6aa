"""Calls that wait for their answers, which another thread brings."""

from __future__ import annotations

import threading
from typing import Any

from txchannels.errors import Unanswered

__all__ = ["Answer", "Answers"]


class Answer:
    """What one call has come to; its thread waits for it."""

    __slots__ = ("_came", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self._came = threading.Lock()
        self._came.acquire()

    def put(self, value: Any) -> None:
        """It has come. Only once."""
        self.value = value
        self._came.release()

    def wait(self, seconds: float) -> bool:
        """Whether it comes within so long."""
        return self._came.acquire(timeout=seconds)


class Answers:
    """See the module.

    Args:
        name: Whose answers they are, for errors.

    Thread: any.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._expected: dict[int, Answer] = {}

    def __len__(self) -> int:
        return len(self._expected)

    def expect(self, number: int) -> Answer:
        """The answer to the call *number*, which is not sent yet."""
        answer = Answer()
        with self._lock:
            self._expected[number] = answer
        return answer

    def take(self, answer: Answer, seconds: float) -> Any:
        """What *answer* is.

        Raises: Unanswered: It has not come in time. The answer, if it is an error.
        """
        if not answer.wait(seconds):
            raise Unanswered(f"{self._name} has not answered within {seconds:g} s")
        if isinstance(answer.value, Exception):
            raise answer.value
        return answer.value

    def forget(self, number: int) -> None:
        """Nobody waits for that answer any more."""
        with self._lock:
            self._expected.pop(number, None)

    def put(self, number: int, value: Any) -> None:
        """The answer to the call *number* has come: a value, or an error."""
        with self._lock:
            answer = self._expected.pop(number, None)
        if answer is not None:
            answer.put(value)

    def end(self) -> None:
        """No more answers will come. What was asked may have been done."""
        with self._lock:
            answers = list(self._expected.values())
            self._expected.clear()
        for answer in answers:
            answer.put(Unanswered(f"{self._name} is gone, and has not answered"))

    def clear(self) -> None:
        """Let go of what belongs to the process that this one was forked from."""
        self._lock = threading.Lock()
        self._expected.clear()
