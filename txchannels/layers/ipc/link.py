"""A program's end of its connection to a daemon's hub: threads call, one thread reads.

A call writes a frame itself and waits for the answer, which the reading thread brings;
so a message that is sent costs no change of threads here.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from txchannels.errors import LayerError, LayerUnavailable, MessageTooLarge
from txchannels.layers.interfaces import Message, Send, Targets
from txchannels.layers.ipc.answers import Answer, Answers
from txchannels.layers.ipc.frames import VERSION, Decoder, Word, encode, error_from, kind_of
from txchannels.layers.ipc.subscription import LinkSubscription
from txchannels.layers.ipc.writer import Writer

__all__ = ["ANSWER_SECONDS", "Link"]

logger = logging.getLogger("txchannels")

#: A guard: the daemon answers at once, or is hung.
ANSWER_SECONDS = 10.0

_READ_BYTES = 262_144

#: (Which send of the batch, the error's kind, its text, the channel's name.)
Failure = tuple[int, str, str, str]


class Link:
    """See the module.

    Args:
        sock: A connected, blocking stream socket; the link closes it.
        name: The daemon, for errors.
        write_seconds: How long the daemon may take nothing of what is written before the link
            is closed; by itself, without end: for a process that is nothing without its daemon.

    Attributes:
        told: Called with what the daemon tells beside the layer: topic, value.
        ended: Called once when the connection has ended.
        refused: Called with the channel, the error's kind and its text when a send failed
            that nobody waits for.
        writer: Puts the frames onto the connection.
        info: What the daemon says of itself, once `start` has returned.

    Thread: any. What is called back is called in the reading thread.
    """

    def __init__(
        self, sock: socket.socket, name: str = "the daemon", write_seconds: float = 0.0
    ) -> None:
        self.name = name
        self.process_id = os.getpid()
        self.told: Callable[[str, Any], None] = _ignore
        self.ended: Callable[[], None] = _ignore
        self.refused: Callable[[str, str, str], None] = _ignore
        self.writer = Writer(sock, write_seconds)
        self.info: dict[str, Any] = {}
        self.is_open = True
        self._socket = sock
        self._numbers = itertools.count(1)
        self._answers = Answers(name)
        self._subscriptions: dict[int, LinkSubscription] = {}
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._inboxes: dict[str, Callable[[Targets, Message], None]] = {}
        self._riders: Callable[[], bytes] | None = None
        self._welcome = Answer()
        self._words: dict[int, Callable[..., None]] = {
            Word.WELCOME: self._welcomed,
            Word.RESULT: self._result_received,
            Word.ERROR: self._error_received,
            Word.SENT: self._sent_received,
            Word.DELIVER: self._deliver_received,
            Word.CANCELLED: self._result_received,
            Word.BATCH: self._batch_received,
            Word.CALLBACK: self._callback_received,
            Word.PING: self._pinged,
            Word.TELL: self._tell_received,
        }
        _links.add(self)

    def start(self) -> None:
        """Greet the daemon.

        Raises: LayerUnavailable: It does not answer, or is of another release.
        """
        thread = threading.Thread(target=self._read, name="txchannels-link", daemon=True)
        try:
            self._write(encode(Word.HELLO, VERSION, os.getpid()))
            thread.start()
        except BaseException:
            self.is_open = False
            self._socket.close()  # nobody else would
            raise
        if not self._welcome.wait(ANSWER_SECONDS):
            self.close()
            raise LayerUnavailable(f"{self.name} does not answer")
        if isinstance(self._welcome.value, Exception):
            self.close()
            raise self._welcome.value

    def close(self) -> None:
        """End the connection; who waits for an answer is told so."""
        self.is_open = False
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._socket.close()  # it was never read, or is at its end

    def forget(self) -> None:
        """Let go of what belongs to the process that this one was forked from.

        Its connection must be neither written to nor ended here, nor kept open beyond its
        life; its locks may be held by threads that are not here.
        """
        self.is_open = False
        self._socket.close()
        self.writer.forget()
        self._answers.clear()
        self._callbacks.clear()

    # Out

    def call(self, method: str, *arguments: Any, seconds: float | None = None) -> Any:
        """What the daemon answers to a call.

        Raises: LayerUnavailable: Nothing in time. What the call raises there.
        """
        number = next(self._numbers)
        data = encode(Word.CALL, number, method, arguments)
        return self._ask(number, data, ANSWER_SECONDS if seconds is None else seconds)

    def cast(self, method: str, *arguments: Any) -> None:
        """A call whose answer nobody waits for.

        Raises: LayerUnavailable.
        """
        self._write(encode(Word.CALL, 0, method, arguments))

    def tell(self, topic: str, value: Any = None) -> None:
        """Tell the daemon what is not for the layer.

        Raises: LayerUnavailable.
        """
        self._write(encode(Word.TELL, topic, value))

    def send(self, sends: Sequence[Send], wait: float, is_awaited: bool) -> tuple[int, list[Any]]:
        """Send a batch; in several frames if it is too large for one.

        Returns: How many bytes it took; the failures, of which those that are not awaited
            are told to `refused` later.
        Raises: LayerUnavailable: None of them was sent.
        """
        number = next(self._numbers) if is_awaited else 0
        try:
            data = encode(Word.SEND, number, wait, sends)
        except MessageTooLarge as error:
            if len(sends) == 1:
                return 0, [_failure(0, sends[0], error)]
            return self._send_halves(sends, wait, is_awaited)
        if self._riders is not None:
            data = self._riders() + data
        if not is_awaited:
            self._write(data, is_urgent=not self.is_open)
            return len(data), []
        return len(data), self._ask(number, data, wait + ANSWER_SECONDS)

    def flush(self) -> None:
        """Write what has waited for more.

        Raises: LayerUnavailable.
        """
        if self.writer.is_holding:
            self._write(b"")

    def _send_halves(
        self, sends: Sequence[Send], wait: float, is_awaited: bool
    ) -> tuple[int, list[Any]]:
        half = len(sends) // 2
        size, failures = self.send(sends[:half], wait, is_awaited)
        try:
            more, later = self.send(sends[half:], wait, is_awaited)
        except LayerError as error:  # what went before was sent all the same
            more, later = 0, [_failure(at, send, error) for at, send in enumerate(sends[half:])]
        return size + more, failures + [(half + at, *rest) for at, *rest in later]

    def _ask(self, number: int, data: bytes, seconds: float) -> Any:
        answer = self._answers.expect(number)
        try:
            if not self.is_open:
                raise self._gone()
            self._write(data)
            return self._answers.take(answer, seconds)
        finally:
            self._answers.forget(number)

    def _write(self, data: bytes, is_urgent: bool = True) -> None:
        try:
            if is_urgent:
                self.writer.write(data)
            else:
                self.writer.write_soon(data)
        except BlockingIOError:
            self.close()  # a part of a frame may be out
            raise LayerUnavailable(f"{self.name} takes nothing any more") from None
        except OSError:
            raise self._gone() from None

    def _gone(self) -> LayerUnavailable:
        return LayerUnavailable(f"{self.name} is gone")

    # Reading

    def subscribe(
        self,
        channels: Sequence[str],
        deliver: Callable[[int, str, Message], None],
        slack: int = 0,
    ) -> LinkSubscription:
        """Read *channels*; *deliver* gets the message's number, its channel and itself.

        Args:
            slack: So many requests may wait for the next `send`, to go with it, or for
                `LinkSubscription.flush`.
        """
        at = next(self._numbers)
        subscription = LinkSubscription(self, at, deliver, slack)
        self._subscriptions[at] = subscription
        try:
            self._write(encode(Word.SUBSCRIBE, at, list(channels)))
        except BaseException:
            del self._subscriptions[at]
            raise
        if slack:
            self._riders = subscription.take_frame
        return subscription

    def request(self, frame: bytes) -> None:
        """Ask for more messages, and say which are finished.

        Raises: LayerUnavailable.
        """
        self._write(frame)

    def cancel(self, at: int) -> int:
        """End a subscription; nothing is delivered any more when this returns."""
        try:
            left: int = self._ask(at, encode(Word.CANCEL, at), ANSWER_SECONDS)
        except LayerUnavailable:
            left = 0
        finally:
            self._subscriptions.pop(at, None)
        return left

    def open_inbox(self, prefix: str, deliver: Callable[[Targets, Message], None]) -> None:
        """Own *prefix*; *deliver* gets what is sent to its channels."""
        self._inboxes[prefix] = deliver
        try:
            self.call("open_inbox", prefix)
        except BaseException:
            del self._inboxes[prefix]
            raise

    def when_room(self, channel: str, callback: Callable[[], None]) -> None:
        """Call *callback* once when *channel* has room, or the connection has ended."""
        number = next(self._numbers)
        self._callbacks[number] = callback
        try:
            self.cast("when_room", channel, number)
        except LayerUnavailable:
            self._callback_received(number)

    # In: the reading thread's

    def _read(self) -> None:
        decoder = Decoder()
        try:
            while data := self._socket.recv(_READ_BYTES):
                for word, *fields in decoder.feed(data):
                    self._words[word](*fields)
        except OSError:
            pass
        except Exception:
            logger.exception("What %s sent could not be read", self.name)
        finally:
            self._end()

    def _end(self) -> None:
        self.close()  # who writes now, is woken
        self.writer.close_socket()  # which is not another's in the middle of a write
        self._answers.end()
        self._greeted(LayerUnavailable(f"{self.name} has closed the connection"))
        for number in list(self._callbacks):
            self._callback_received(number)
        self.ended()

    def _welcomed(self, _version: int, info: dict[str, Any]) -> None:
        self.info = info
        self._greeted(info)

    def _greeted(self, answer: Any) -> None:
        if self._welcome.value is None:
            self._welcome.put(answer)

    def _result_received(self, number: int, value: Any) -> None:
        self._answers.put(number, value)

    def _error_received(self, number: int, kind: str, text: str) -> None:
        if number:
            self._answers.put(number, error_from(kind, text))
        else:
            self._greeted(LayerUnavailable(text))

    def _sent_received(self, number: int, failures: list[Failure]) -> None:
        if number:
            self._answers.put(number, failures)
            return
        for _, kind, text, channel in failures:
            self.refused(channel, kind, text)

    def _deliver_received(self, at: int, number: int, channel: str, message: Message) -> None:
        subscription = self._subscriptions.get(at)
        if subscription is not None:
            subscription.deliver(number, channel, message)

    def _batch_received(self, prefix: str, targets: Targets, message: Message) -> None:
        deliver = self._inboxes.get(prefix)
        if deliver is not None:
            deliver(targets, message)

    def _callback_received(self, number: int) -> None:
        callback = self._callbacks.pop(number, None)
        if callback is not None:
            callback()

    def _pinged(self) -> None:
        self._write(encode(Word.PONG))

    def _tell_received(self, topic: str, value: Any) -> None:
        self.told(topic, value)


#: The links of this process; those that have ended may be among them.
_links: weakref.WeakSet[Link] = weakref.WeakSet()


def _forget_links() -> None:
    for link in list(_links):
        link.forget()


os.register_at_fork(after_in_child=_forget_links)


def _failure(at: int, send: Send, error: LayerError) -> Failure:
    return at, kind_of(error), str(error), send[1]


def _ignore(*_: Any) -> None:
    """Nobody listens."""
