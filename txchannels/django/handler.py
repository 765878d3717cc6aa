"""Views: a request message in, Django's middleware and view, response messages out.

Source: Channels 1, ``channels.handler``.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Generator, Iterator
from typing import Any

from django.conf import settings
from django.core.handlers import base
from django.core.signals import request_started
from django.http import (
    FileResponse,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseServerError,
)
from django.urls import set_script_prefix

from txchannels.django.events.responses import FeedResponse
from txchannels.django.exceptions import (
    RequestAborted,
    RequestTimeout,
    ResponseLater,
)
from txchannels.django.message import Message
from txchannels.django.request import AsgiRequest
from txchannels.django.unsent import unsent
from txchannels.errors import ChannelClosed, ChannelFull, LayerUnavailable

__all__ = ["AsgiHandler", "AsgiRequest", "ViewConsumer"]

logger = logging.getLogger("django.request")

#: Seconds for which a client that takes nothing of its response is waited for.
SEND_WAIT_SECONDS = 90.0

#: A content of up to so many bytes goes whole through a layer in this process: it is in
#: memory already, and a client that reads slowly then holds no thread.
MAX_WHOLE_BYTES = 2**20

#: Names of response headers, encoded; few are ever used.
_MAX_NAMES = 1024
_names: dict[str, bytes] = {}


class AsgiHandler(base.BaseHandler):
    """Turns request messages into response messages by Django's own handling."""

    #: Bytes of a response in one message.
    chunk_size = 64 * 1024

    request_class = AsgiRequest

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def __call__(self, message: Message) -> Generator[dict[str, Any], None, None]:
        """The response messages; none if the answer comes later or the client is gone."""
        response = self.respond(message)
        if response is not None:
            yield from self._encode_and_close(response)

    def respond(self, message: Message) -> Any | None:
        """Django's response, to be closed by the caller; None if nobody is to be answered."""
        script_name = settings.FORCE_SCRIPT_NAME or message.content.get("root_path")
        set_script_prefix(script_name or "/")
        request_started.send(sender=self.__class__, message=message)
        request = None
        try:
            request = self.request_class(message)
            response = self.get_response(request)
        except Exception as error:
            response = self.answer_failure(request, error)
        response._handler_class = self.__class__  # noqa: SLF001 - the sender of request_finished
        if request is not None and request.is_unanswered:
            response.close()
            return None
        return response

    def _encode_and_close(self, response: Any) -> Iterator[dict[str, Any]]:
        try:
            yield from self.encode_response(response)
        finally:
            response.close()

    def process_exception_by_middleware(self, exception: Exception, request: Any) -> Any:
        """What concerns the client alone is no error of the view."""
        cause = exception if isinstance(exception, _NO_ERRORS) else exception.__cause__
        if isinstance(cause, RequestTimeout):
            return HttpResponse(
                "408 Request Timeout (upload too slow)", status=408, content_type="text/plain"
            )
        if isinstance(cause, ResponseLater | RequestAborted):
            request.is_unanswered = True
            return HttpResponse()  # middleware sees it go by; nobody is sent it
        return super().process_exception_by_middleware(exception, request)

    def answer_failure(self, request: Any, error: Exception) -> HttpResponse:
        """The last resort: no request could be made, or Django's own error handling failed."""
        if request is None and isinstance(error, UnicodeDecodeError):
            logger.warning("Bad Request (UnicodeDecodeError)", exc_info=error)
            return HttpResponseBadRequest()
        logger.error("Internal Server Error", exc_info=error)
        text, content_type = "Internal Server Error", "text/plain"
        if settings.DEBUG:
            text = "".join(traceback.format_exception(error))
            content_type = "text/plain; charset=utf-8"
        response = HttpResponseServerError(text, content_type=content_type)
        if request is not None:
            response._resource_closers.append(request.close)  # noqa: SLF001 - as Django does
        return response

    @classmethod
    def encode_response(cls, response: Any) -> Iterator[dict[str, Any]]:
        """A Django response as response messages, the first with status and headers."""
        message = cls._begin(response)
        if isinstance(response, FeedResponse) and response.is_feed:
            yield from response.encode(message)
            return
        if not response.streaming:
            content = response.content
            if len(content) <= cls.chunk_size:
                message["content"] = content
                yield message
                return
            for chunk, is_last in cls.chunk_bytes(content):
                message["content"] = chunk
                message["more_content"] = not is_last
                yield message
                message = {}
            return
        if isinstance(response, FileResponse):
            response.block_size = cls.chunk_size
        message["more_content"] = True
        for part in response:
            for chunk, _ in cls.chunk_bytes(part):
                message["content"] = chunk
                message["more_content"] = True
                yield message
                message = {}
        message["content"] = b""
        message["more_content"] = False
        yield message

    @classmethod
    def encode_whole(cls, response: Any) -> dict[str, Any]:
        """A response that does not stream as one message, however long."""
        return {**cls._begin(response), "content": response.content}

    @classmethod
    def _begin(cls, response: Any) -> dict[str, Any]:
        return {
            "status": response.status_code,
            "headers": cls.encode_headers(response),
            "content": b"",
            "more_content": False,
        }

    @staticmethod
    def encode_headers(response: Any) -> list[list[bytes]]:
        """The response's headers and cookies, each an own field."""
        names = _names
        headers = []
        for name, value in response.items():
            encoded = names.get(name)
            if encoded is None:
                encoded = name.encode("ascii")
                if len(names) < _MAX_NAMES:
                    names[name] = encoded
            headers.append([encoded, value.encode("latin-1")])
        if response.cookies:
            headers += [
                [b"Set-Cookie", cookie.output(header="").strip().encode("latin-1")]
                for cookie in response.cookies.values()
            ]
        return headers

    @classmethod
    def chunk_bytes(cls, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """*data* in messages' sizes: pairs of (piece, whether it is the last)."""
        if len(data) <= cls.chunk_size:
            yield data, True
            return
        for at in range(0, len(data), cls.chunk_size):
            yield data[at : at + cls.chunk_size], at + cls.chunk_size >= len(data)


_NO_ERRORS = (ResponseLater, RequestAborted, RequestTimeout)


class ViewConsumer:
    """The consumer of ``http.request`` that runs views."""

    handler_class = AsgiHandler

    def __init__(self) -> None:
        self.handler = self.handler_class()
        own = AsgiHandler.encode_response.__func__  # type: ignore[attr-defined]
        encode = self.handler.encode_response
        self._is_encoded_our_way = getattr(encode, "__func__", None) is own

    def __call__(self, message: Message) -> None:
        response = self.handler.respond(message)
        if response is None:
            return
        try:
            self._send(message, self._encode(message, response))
        finally:
            response.close()

    def _encode(self, message: Message, response: Any) -> Iterator[dict[str, Any]]:
        handler = self.handler
        if (
            not response.streaming
            and handler.chunk_size < len(response.content) <= MAX_WHOLE_BYTES
            and self._is_encoded_our_way
            and _is_local(message.channel_layer)
        ):
            return iter((handler.encode_whole(response),))
        return handler.encode_response(response)

    def _send(self, message: Message, answers: Iterator[dict[str, Any]]) -> None:
        """Send the response's messages, as long as there is somebody to take them."""
        reply_channel = message.content["reply_channel"]
        send_many = message.channel_layer.send_many
        for answer in answers:
            failed = send_many([("channel", reply_channel, answer)], wait=SEND_WAIT_SECONDS)
            if failed:
                error = failed[0][1]
                if isinstance(error, LayerUnavailable):  # no fault of the view's
                    unsent.note(reply_channel, error)
                elif not isinstance(error, ChannelClosed | ChannelFull):
                    raise error
                return


def _is_local(channel_layer: Any) -> bool:
    """Whether no message on the layer leaves this process: none is too large for it."""
    local_only = getattr(channel_layer, "local_only", None)
    return local_only is not None and local_only()
