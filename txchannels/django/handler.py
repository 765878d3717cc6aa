"""Views: a request message in, Django's middleware and view, response messages out.

Source: Channels 1, ``channels.handler``.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import signals
from django.core.handlers import base
from django.core.signals import request_started
from django.http import FileResponse, HttpResponse, HttpResponseServerError
from django.urls import set_script_prefix

from txchannels.django.exceptions import (
    RequestAborted,
    RequestTimeout,
    ResponseLater,
)
from txchannels.django.message import Message
from txchannels.django.request import AsgiRequest
from txchannels.errors import ChannelClosed, ChannelFull

__all__ = ["AsgiHandler", "AsgiRequest", "ViewConsumer"]

logger = logging.getLogger("django.request")

#: Seconds for which a client that takes nothing of its response is waited for.
SEND_WAIT_SECONDS = 90.0


class AsgiHandler(base.BaseHandler):
    """Turns request messages into response messages by Django's own handling."""

    #: Bytes of a response in one message.
    chunk_size = 64 * 1024

    request_class = AsgiRequest

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def __call__(self, message: Message) -> Iterator[dict[str, Any]]:
        """The response messages; none if the answer comes later or the client is gone."""
        set_script_prefix(message.content.get("root_path") or "/")
        request_started.send(sender=self.__class__, message=message)
        request = None
        try:
            request = self.request_class(message)
            response = self.get_response(request)
        except Exception:
            response = self.answer_failure()
        response._handler_class = self.__class__
        if request is not None and request.is_unanswered:
            response.close()
            return
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        yield from self._encode_and_close(response)

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

    def answer_failure(self) -> HttpResponse:
        """The last resort, when Django's own error handling has failed."""
        exc_info = sys.exc_info()
        logger.error("Internal Server Error", exc_info=exc_info)
        if settings.DEBUG:
            text = "".join(traceback.format_exception(*exc_info))
            return HttpResponseServerError(text, content_type="text/plain; charset=utf-8")
        return HttpResponseServerError("Internal Server Error", content_type="text/plain")

    @classmethod
    def encode_response(cls, response: Any) -> Iterator[dict[str, Any]]:
        """A Django response as response messages, the first with status and headers."""
        message: dict[str, Any] = {
            "status": response.status_code,
            "headers": cls.encode_headers(response),
            "content": b"",
            "more_content": False,
        }
        if not response.streaming:
            for chunk, is_last in cls.chunk_bytes(response.content):
                message["content"] = chunk
                message["more_content"] = not is_last
                yield message
                message = {}
            return
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

    @staticmethod
    def encode_headers(response: Any) -> list[list[bytes]]:
        """The response's headers and cookies, each an own field."""
        headers = [
            [name.encode("ascii"), value.encode("latin-1")] for name, value in response.items()
        ]
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

    def __call__(self, message: Message) -> None:
        reply_channel = message.content["reply_channel"]
        send_many = message.channel_layer.send_many
        responses = self.handler(message)
        for response in responses:
            failed = send_many([("channel", reply_channel, response)], wait=SEND_WAIT_SECONDS)
            if failed:
                # closing the generator closes the view's iterator and its response
                responses.close()  # type: ignore[attr-defined]
                if not isinstance(failed[0][1], ChannelClosed | ChannelFull):
                    raise failed[0][1]
                return

