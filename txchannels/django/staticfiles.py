"""Views, and under DEBUG the static files of the installed apps.

Source: Channels 1, ``channels.staticfiles``; Django's ``StaticFilesHandler``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse

from django.contrib.staticfiles.handlers import StaticFilesHandlerMixin
from django.core.handlers.exception import response_for_exception

from txchannels.django.handler import AsgiHandler, ViewConsumer

__all__ = ["StaticFilesConsumer", "StaticFilesHandler"]


class StaticFilesHandler(StaticFilesHandlerMixin, AsgiHandler):
    """Answers requests below STATIC_URL from the apps' static folders."""

    def __init__(self) -> None:
        super().__init__()
        self.base_url = urlparse(self.get_base_url())

    def load_middleware(self, is_async: bool = False) -> None:
        """Load it: the mixin leaves that to an application that it wraps."""
        AsgiHandler.load_middleware(self, is_async)

    def get_response(self, request: Any) -> Any:
        """A file's response where the path is below STATIC_URL, the view's elsewhere."""
        if not self._should_handle(request.path):
            return AsgiHandler.get_response(self, request)
        try:
            return self.serve(request)
        except Exception as error:  # also a path that leads out of the folders: 400
            return response_for_exception(request, error)


class StaticFilesConsumer(ViewConsumer):
    """A `ViewConsumer` that serves static files too: for development, not for the Internet."""

    handler_class = StaticFilesHandler
