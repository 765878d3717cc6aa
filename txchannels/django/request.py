"""An ``http.request`` message as a Django request, read as far as the view looks.

Source: Channels 1, ``channels.handler.AsgiRequest``; Django's ``WSGIRequest``.
"""

from __future__ import annotations

import codecs
import re
import tempfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, QueryDict, parse_cookie
from django.utils.datastructures import MultiValueDict
from django.utils.http import parse_header_parameters

from txchannels.django.below import below
from txchannels.django.body import BodyStream
from txchannels.django.exceptions import RequestAborted, RequestTimeout, ResponseLater
from txchannels.django.message import Message

if TYPE_CHECKING:
    from functools import cached_property

    from txchannels.django.channel import Channel
else:
    # without the lock that functools' has before Python 3.12
    from django.utils.functional import cached_property

__all__ = ["AsgiRequest", "RequestAborted", "RequestTimeout"]

_CHARSET = re.compile(rb"""charset\s*=\s*["']?([^"';\s]+)""", re.IGNORECASE)


class AsgiRequest(HttpRequest):
    """A request over a channel layer.

    Args:
        message: An ``http.request`` message, or any that has its keys (``websocket.connect``).

    Attributes:
        message: The message.
        reply_channel: Where the response goes.
        is_unanswered: Whether the view's response is not to be sent: the answer comes
            later, or there is nobody to answer.
    """

    #: Raised by a view whose answer comes later, from elsewhere.
    ResponseLater = ResponseLater

    #: Seconds for which the next piece of a body is waited for.
    body_receive_timeout = 60.0

    def __init__(self, message: Message) -> None:
        # HttpRequest.__init__ would make dicts for GET, POST, COOKIES, META and FILES:
        # they are made when they are first looked at.
        self.message = message
        self.is_unanswered = False
        content = message.content
        self._find_path(content["path"] or "", content.get("root_path") or "")
        self.method = content.get("method", "FAKE").upper()
        self.resolver_match = None
        self._post_parse_error = False
        self._read_started = False
        self._content_type: bytes | None = None
        self._content_length: bytes | None = None
        for name, value in _fields(content):
            if name == b"content-type":
                self._content_type = value
            elif name == b"content-length":
                self._content_length = value
        if self._content_type is not None and b"charset" in self._content_type.lower():
            self._read_charset(self._content_type)

    def _find_path(self, path: str, root_path: str) -> None:
        """Where the site hangs, and what of the path is below that."""
        script_name = settings.FORCE_SCRIPT_NAME or root_path
        self.script_name = script_name
        if not script_name:
            self.path_info = self.path = path or "/"
            return
        path_info = below(path, script_name)
        if path_info is not None:
            self.path_info, self.path = path_info, path
        else:  # a proxy in front has cut it off
            self.path_info = path or "/"
            self.path = script_name.rstrip("/") + self.path_info

    @property
    def reply_channel(self) -> Channel | None:
        return self.message.reply_channel

    def _read_charset(self, content_type: bytes) -> None:
        found = _CHARSET.search(content_type)
        if found is None:
            return
        charset = found[1].decode("latin-1")
        try:
            codecs.lookup(charset)
        except LookupError:
            return
        self.encoding = charset

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.method} {self.get_full_path()!r}>"

    # What is made when it is first looked at

    @cached_property
    def META(self) -> dict[str, Any]:
        """The CGI variables."""
        content = self.message.content
        meta: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "QUERY_STRING": (content.get("query_string") or b"").decode("latin-1"),
            "SCRIPT_NAME": self.script_name,
            "PATH_INFO": self.path_info,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
        }
        if content.get("http_version"):
            meta["SERVER_PROTOCOL"] = f"HTTP/{content['http_version']}"
        client = content.get("client")
        if client:
            meta["REMOTE_ADDR"] = meta["REMOTE_HOST"] = client[0]
            meta["REMOTE_PORT"] = client[1]
        server = content.get("server")
        meta["SERVER_NAME"] = server[0] if server else "unknown"
        meta["SERVER_PORT"] = str(server[1]) if server else "0"
        for name, value in _fields(content):
            _add_header(meta, name, value)
        return meta

    @cached_property
    def GET(self) -> QueryDict:
        query_string = self.message.content.get("query_string") or b""
        return QueryDict(query_string, encoding=self._encoding)

    @cached_property
    def COOKIES(self) -> dict[str, str]:
        cookies = [value for name, value in _fields(self.message.content) if name == b"cookie"]
        if not cookies:
            return {}
        # RFC 9113, section 8.2.3: several Cookie fields are one, joined by "; "
        parsed: dict[str, str] = parse_cookie(b"; ".join(cookies).decode("utf-8", "replace"))
        return parsed

    @cached_property
    def _parsed_content_type(self) -> tuple[str, dict[str, str]]:
        if self._content_type is None:
            return "", {}
        return parse_header_parameters(self._content_type.decode("latin-1"))

    @cached_property
    def content_type(self) -> str:
        return self._parsed_content_type[0]

    @cached_property
    def content_params(self) -> dict[str, str]:
        return self._parsed_content_type[1]

    @property
    def encoding(self) -> str | None:
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value
        self.__dict__.pop("GET", None)
        self.__dict__.pop("_post", None)

    def _get_scheme(self) -> str:
        scheme: str = self.message.content.get("scheme") or "http"
        return {"ws": "http", "wss": "https"}.get(scheme, scheme)

    # The body

    @cached_property
    def _stream(self) -> Any:
        content = self.message.content
        body = content.get("body") or b""
        channel = content.get("body_channel")
        if not channel:
            return BytesIO(body)
        return BodyStream(self.message.channel_layer, channel, body, self.body_receive_timeout)

    @property
    def body(self) -> bytes:
        """The whole body, in memory: bounded by DATA_UPLOAD_MAX_MEMORY_SIZE, however it came."""
        if not hasattr(self, "_body") and self._content_length is None and not self._read_started:
            self._read_bounded()
        return super().body

    def _read_bounded(self) -> None:
        """Read a body whose length was not declared, up to what the settings allow."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        stream = self._stream
        if limit is None or isinstance(stream, BytesIO):
            return
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise RequestDataTooBig("Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE.")
        self._body = body
        self._stream = BytesIO(body)

    def _get_post(self) -> Any:
        if not hasattr(self, "_post"):
            self._load_post_and_files()
        return self._post

    def _set_post(self, post: Any) -> None:
        self._post = post

    POST = property(_get_post, _set_post)

    @property
    def FILES(self) -> Any:
        if not hasattr(self, "_files"):
            self._load_post_and_files()
        return self._files

    def _load_post_and_files(self) -> None:
        if self.method != "POST":  # quick, and the common case
            self._post = QueryDict(encoding=self._encoding)
            self._files = MultiValueDict()
            return
        if (
            self._content_length is None
            and not self._read_started
            and self.content_type == "multipart/form-data"
        ):
            self._spool_multipart()
        super()._load_post_and_files()

    def _spool_multipart(self) -> None:
        """Django's multipart parser needs a length: find out that of a chunked body on disk."""
        stream = self._stream
        if isinstance(stream, BytesIO):
            length = len(stream.getvalue())
        else:
            spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed with the request
                settings.FILE_UPLOAD_MAX_MEMORY_SIZE, dir=settings.FILE_UPLOAD_TEMP_DIR
            )
            try:
                while chunk := stream.read(65_536):
                    spool.write(chunk)
            except BaseException:
                spool.close()
                raise
            length = spool.tell()
            spool.seek(0)
            self._stream = spool
        self.META["CONTENT_LENGTH"] = str(length)

    def close(self) -> None:
        super().close()
        # Django's parser closes the file of an upload that breaks off in some cases only
        for handler in self._upload_handlers:
            if (file := getattr(handler, "file", None)) is not None:
                file.close()
        stream = self.__dict__.get("_stream")
        if stream is not None:
            stream.close()


def _fields(content: dict[str, Any]) -> Any:
    """The header fields as pairs of bytes: none where a message has none, older ones are dicts."""
    fields = content.get("headers") or ()
    if not isinstance(fields, dict):
        return fields
    return [(_as_bytes(name).lower(), _as_bytes(value)) for name, value in fields.items()]


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value


#: CGI variables by the names of request fields; fields that clients make up are not kept.
_MAX_NAMES = 1024
_variables: dict[bytes, str] = {}


def _add_header(meta: dict[str, Any], name: bytes, value: bytes) -> None:
    """One field as a CGI variable; a name with ``_`` could pass for another and is dropped."""
    variable = _variables.get(name)
    if variable is None:
        variable = _variable_of(name)
    if not variable:
        return
    text = value.decode("latin-1")
    if variable in meta:
        text = meta[variable] + ("; " if variable == "HTTP_COOKIE" else ",") + text
    meta[variable] = text


def _variable_of(name: bytes) -> str:
    if b"_" in name:
        return ""
    variable = name.decode("latin-1").upper().replace("-", "_")
    if variable not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
        variable = "HTTP_" + variable
    if len(_variables) < _MAX_NAMES:
        _variables[name] = variable
    return variable
