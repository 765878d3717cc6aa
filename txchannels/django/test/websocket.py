"""A browser of the test's own: cookies, headers, a login, a socket's messages.

Its messages have the fields that the daemon gives them: headers, cookies and the query
come with the connect (and on channels of one's own), not with later frames.
"""

from __future__ import annotations

import copy
import json as json_module
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest

from txchannels.django import DEFAULT_CHANNEL_LAYER
from txchannels.django.test.client import Client

__all__ = ["WSClient"]

CONNECT = "websocket.connect"
RECEIVE = "websocket.receive"

#: What has no headers and no query of its own.
_LATER = (RECEIVE, "websocket.disconnect")


class WSClient(Client):
    """A `Client` that is a WebSocket of a browser.

    Args:
        alias: Which of the site's layers it uses.
        ordered: Number its messages, as the daemon does: for `enforce_ordering`.

    Attributes:
        order: The number of the next message, if they are numbered.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER, *, ordered: bool = False) -> None:
        super().__init__(alias)
        self.order = 0
        self._is_ordered = ordered
        self._headers: dict[str, str] = {}
        self._cookies: dict[str, str] = {}
        self._session: Any = None
        self._unread: dict[str, Any] | None = None

    # What the browser sends along

    def set_cookie(self, key: str, value: str) -> None:
        """Have the cookie *key*, with *value*, from now on."""
        self._cookies[key] = value

    def get_cookies(self) -> dict[str, str]:
        """The cookies by name."""
        return dict(self._cookies)

    def set_header(self, key: str, value: str) -> None:
        """Send the header *key* from now on.

        Raises: ValueError: It is the cookies'.
        """
        if key.lower() == "cookie":
            raise ValueError("Cookies are set with set_cookie(), not as a header")
        self._headers[key.lower()] = value

    @property
    def headers(self) -> dict[str, bytes]:
        """The headers as they are sent, by name in lower case; a copy."""
        found = {name: value.encode("latin-1") for name, value in self._headers.items()}
        if self._cookies:
            encode = SimpleCookie().value_encode
            pairs = (f"{key}={encode(value)[1]}" for key, value in self._cookies.items())
            found["cookie"] = "; ".join(pairs).encode("latin-1")
        return found

    # Who the browser is

    @property
    def session(self) -> Any:
        """The browser's session; stored, and in the cookies, from the first access on.

        Save it after a change. Consumers find it with `http_session`.

        Raises: OSError: `django.contrib.sessions` is not installed.
        """
        if self._session is None:
            if not apps.is_installed("django.contrib.sessions"):
                raise OSError("A session needs django.contrib.sessions in INSTALLED_APPS")
            self._session = import_module(settings.SESSION_ENGINE).SessionStore()
            self._keep_session()
        return self._session

    def login(self, **credentials: Any) -> bool:
        """Log in as the site's authentication backends allow; False if none does."""
        from django.contrib.auth import authenticate

        user = authenticate(**credentials)
        if user is None:
            return False
        self._login(user, None)
        return True

    def force_login(self, user: Any, backend: str | None = None) -> None:
        """Log *user* in without credentials.

        Args:
            backend: The dotted path of an authentication backend; by itself, the first that
                can find users.
        """
        self._login(user, backend or _first_backend())

    def logout(self) -> None:
        """Forget the browser's session, and its cookie."""
        if self._session is not None:
            self._session.flush()
            self._session = None
        self._cookies.pop(settings.SESSION_COOKIE_NAME, None)

    def _login(self, user: Any, backend: str | None) -> None:
        from django.contrib.auth import login

        request = HttpRequest()
        request.session = self.session
        login(request, user, backend)
        self._keep_session()

    def _keep_session(self) -> None:
        """Save it, and know its key, which a login changes."""
        self._session.save()
        self.set_cookie(settings.SESSION_COOKIE_NAME, self._session.session_key)

    # Messages

    def send(
        self,
        to: str,
        content: dict[str, Any] | None = None,
        text: Any = None,
        path: str = "/",
    ) -> None:
        """Send a message to the channel *to*, with all that a browser's message has.

        Args:
            content: Fields of the message; they win over what would be added.
            text: The frame; what is not text is encoded as JSON.
            path: The socket's, and for `websocket.connect` a query after ``?``.

        Raises:
            ValueError: The text, or the order of an ordered client, is given twice.
        """
        super().send(to, self._complete(to, copy.deepcopy(content or {}), text, path))

    def _complete(self, to: str, content: dict[str, Any], text: Any, path: str) -> dict[str, Any]:
        if text is not None:
            if "text" in content:
                raise ValueError("The text is in the content, and an argument, too")
            content["text"] = text if isinstance(text, str) else json_module.dumps(text)
        path, _, query = path.partition("?")
        content.setdefault("path", path)
        if to not in _LATER:
            content.setdefault("query_string", query.encode())
            fields = ([name.encode("latin-1"), value] for name, value in self.headers.items())
            content.setdefault("headers", list(fields))
        if to == CONNECT:
            content = {**_HANDSHAKE, **content}
        if to == RECEIVE and ("text" in content) != ("bytes" in content):
            content = {"text": None, "bytes": None, **content}
        if self._is_ordered:
            if "order" in content:
                raise ValueError("An ordered client numbers its messages itself; leave order out")
            content["order"] = self.order
            self.order += 1
        return content

    def receive(self, json: bool = True) -> Any:
        """What the next message to this client says; None if there is none.

        Args:
            json: Decode the frame's text.

        Returns: The frame's text, decoded or not; of a message without text, all of it.
        Raises: ValueError: The text is no JSON.
        """
        content, self._unread = self._unread, None
        if content is None:
            content = super().receive()
        if content is None:
            return None
        text = content.get("text")
        if not isinstance(text, str):
            return content
        if not json:
            return text
        try:
            return json_module.loads(text)
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no JSON ({error}); receive(json=False) reads it"
            ) from None

    def consume(self, channel: str, fail_on_none: bool = True, check_accept: bool = True) -> Any:
        """Run the consumer of the next message of *channel*: see `Client.consume`.

        Args:
            check_accept: Whether a `websocket.connect` must be accepted; the acceptance is
                taken from what `receive` will say.

        Raises: AssertionError: Its first reply does not accept.
        """
        result = super().consume(channel, fail_on_none=fail_on_none)
        if channel == CONNECT and check_accept:
            self._take_acceptance()
        return result

    def _take_acceptance(self) -> None:
        reply = super().receive()
        if reply is None or reply.get("accept") is not True:
            was = "was not answered" if reply is None else f"was answered {reply!r}"
            raise AssertionError(
                f"The connection {was}, not {{'accept': True}}; check_accept=False allows that"
            )
        rest = {key: value for key, value in reply.items() if key not in ("accept", "subprotocol")}
        self._unread = rest or None

    # The order of the arguments is that of Channels 1.
    def send_and_consume(  # type: ignore[override]
        self,
        channel: str,
        content: dict[str, Any] | None = None,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """`send` to *channel*, then `consume` it."""
        self.send(channel, content, text, path)
        return self.consume(channel, fail_on_none=fail_on_none, check_accept=check_accept)


#: What the daemon says of a handshake, beside what the client does.
_HANDSHAKE: dict[str, Any] = {
    "scheme": "ws",
    "root_path": "",
    "client": ["127.0.0.1", 50_000],
    "server": ["testserver", 80],
    "subprotocols": [],
}


def _first_backend() -> str:
    from django.contrib.auth import load_backend

    for path in settings.AUTHENTICATION_BACKENDS:
        if hasattr(load_backend(path), "get_user"):
            return str(path)
    raise ValueError("None of AUTHENTICATION_BACKENDS has get_user(); name a backend")
