"""What a peer asks of the hub in calls: each is answered, now or later.

Calls that may wait for other hosts run in a thread, if the hub is one that has others.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from txchannels.errors import LayerError, MessageTooLarge
from txchannels.layers.interfaces import Message, Targets
from txchannels.layers.ipc.frames import Word, kind_of
from txchannels.layers.names import check_channel, check_channels

if TYPE_CHECKING:
    from txchannels.layers.ipc.server import Peer, Served

__all__ = ["Calls"]

MAX_RECEIVE_SECONDS = 3600.0

#: Calls that may wait for other hosts; those of the blocking face.
_BLOCKING = frozenset(
    (
        "group_add",
        "group_discard",
        "group_channels",
        "send_group",
        "flush",
        "global_statistics",
        "channel_statistics",
    )
)


class Calls:
    """The calls of one peer.

    Args:
        peer: Who calls.
        served: The hub.

    Thread: the reactor's, but for what the hub calls.
    """

    def __init__(self, peer: Peer, served: Served) -> None:
        self._peer = peer
        self._served = served
        self.soon = peer.soon
        self._receiving: set[_Receiving] = set()
        self._inboxes: dict[str, Any] = {}
        #: Calls that return at once.
        self._prompt: dict[str, Callable[..., Any]] = {
            "new_channel": self._new_channel,
            "is_wanted": self._is_wanted,
            "offer": self._offer,
            "send": self._send,
            "drop_channel": self._drop_channel,
            "when_room": self._when_room,
            "open_inbox": self._open_inbox,
            "inbox": self._inbox,
        }

    def end(self) -> None:
        """Nobody is there who could be answered."""
        for receiving in list(self._receiving):
            receiving.end()
        for inbox in self._inboxes.values():
            self._served.hub.close_inbox(inbox)

    def received(self, number: int, method: str, arguments: list[Any]) -> None:
        """Do what a peer asks for; a mistake in it is answered."""
        prompt = self._prompt.get(method)
        try:
            if prompt is not None:
                self._answer(number, prompt(*arguments))
            elif method == "receive":
                self._receive(number, *arguments)
            elif method in _BLOCKING:
                call = partial(getattr(self._served.blocking, method), *arguments)
                self._served.in_thread(call, partial(self._answer, number))
            else:
                raise TypeError(f"There is no call {method!r:.80}")
        except (LayerError, TypeError, ValueError) as error:
            self._answer(number, error)

    def _answer(self, number: int, outcome: Any) -> None:
        if not self._peer.is_open or not number:
            return
        if isinstance(outcome, BaseException):
            self._peer.put(Word.ERROR, number, kind_of(outcome), str(outcome))
            return
        try:
            self._peer.put(Word.RESULT, number, outcome)
        except (TypeError, MessageTooLarge) as error:
            self._peer.put(Word.ERROR, number, kind_of(error), str(error))

    def _receive(self, number: int, channels: list[str], block: bool, timeout: float) -> None:
        names = check_channels(channels)
        if not block:
            call = partial(self._served.blocking.receive, names)
            self._served.in_thread(call, partial(self._answer_taken, number))
            return
        random.shuffle(names)  # a busy channel must not starve a quiet one
        receiving = _Receiving(self, number, min(float(timeout), MAX_RECEIVE_SECONDS))
        self._receiving.add(receiving)
        receiving.start(self._served, names)

    def received_for(self, receiving: _Receiving, number: int, taken: Any) -> None:
        """A `receive` has come to its end."""
        self._receiving.discard(receiving)
        self._answer_taken(number, taken)

    def _answer_taken(self, number: int, outcome: Any) -> None:
        """Answer a `receive`. What nobody can be told of is the next again."""
        if isinstance(outcome, BaseException) or outcome[0] is None:
            self._answer(number, outcome)
        elif not self._peer.is_open or not number:
            self._served.hub.take_back([outcome])
        else:
            try:
                self._peer.put(Word.RESULT, number, outcome)
            except (TypeError, MessageTooLarge) as error:
                self._peer.lose(outcome[0], error)
                self._peer.put(Word.RESULT, number, (None, None))

    # Each looks at what is served now: a daemon may take another hub before it is used.

    def _new_channel(self, pattern: str) -> str:
        return self._served.layer.new_channel(pattern)

    def _is_wanted(self, channel: str) -> bool:
        return self._served.layer.is_wanted(channel)

    def _drop_channel(self, channel: str) -> None:
        self._served.layer.drop_channel(channel)

    def _offer(self, channel: str, message: Message) -> bool:
        return self._served.layer.offer(check_channel(channel), _check_message(message))

    def _send(self, channel: str, message: Message) -> None:
        self._served.layer.send(check_channel(channel), _check_message(message))

    def _when_room(self, channel: str, callback: int) -> None:
        self._served.layer.when_room(check_channel(channel), partial(self._called_back, callback))

    def _called_back(self, callback: int) -> None:
        if self._peer.is_open:
            self._peer.put(Word.CALLBACK, callback)

    # Inboxes

    def _open_inbox(self, prefix: str) -> None:
        deliver = partial(self._batch_came, prefix)
        self._inboxes[prefix] = self._served.layer.open_inbox(prefix, deliver)

    def _batch_came(self, prefix: str, batch: list[tuple[Targets, Message]]) -> None:
        if not self._peer.is_open:
            return
        for targets, message in batch:
            self._put_batch(prefix, targets, message)

    def _put_batch(self, prefix: str, targets: Targets, message: Message) -> None:
        try:
            self._peer.put(Word.BATCH, prefix, targets, message)
        except (TypeError, MessageTooLarge) as error:
            if isinstance(targets, str):
                self._peer.lose(targets, error)
            elif len(targets) == 1:
                self._peer.lose(targets[0], error)
            else:  # a group may have more members than one frame can name
                half = len(targets) // 2
                self._put_batch(prefix, targets[:half], message)
                self._put_batch(prefix, targets[half:], message)

    def _inbox(self, prefix: str, verb: str, name: str) -> None:
        inbox = self._inboxes.get(prefix)
        if inbox is None or verb not in ("open", "close", "leave_groups", "pause", "resume"):
            raise ValueError(f"There is no inbox {prefix!r:.99} with a {verb!r:.20}")
        getattr(inbox, verb)(name)


class _Receiving:
    """One `receive` that waits."""

    def __init__(self, calls: Calls, number: int, seconds: float) -> None:
        self._calls = calls
        self._number = number
        self._seconds = seconds
        self._taken: tuple[str, Message] | None = None

    def start(self, served: Served, names: list[str]) -> None:
        self._timeout = served.reactor.callLater(max(0.0, self._seconds), self._timed_out)
        self._subscription = served.layer.subscribe(names, self._deliver)
        self._subscription.request(1)

    def _deliver(self, channel: str, message: Message) -> None:
        """Thread: whoever's; the hub's lock is held."""
        self._taken = channel, message
        self._calls.soon(self.end)

    def _timed_out(self) -> None:
        if self._subscription.cancel():
            self._calls.received_for(self, self._number, (None, None))

    def end(self) -> None:
        """It has come to its end, or nobody waits for it any more."""
        if self._timeout.active():
            self._timeout.cancel()
        self._subscription.cancel()
        taken, self._taken = self._taken, None
        if taken is not None:
            self._calls.received_for(self, self._number, taken)


def _check_message(message: Any) -> Message:
    if type(message) is not dict:
        raise TypeError(f"A message must be a dict, not {message!r:.80}")
    return message
