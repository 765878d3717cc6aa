"""A settings module into what the daemon needs of the site: its layer and its dispatcher."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from txchannels.errors import ConfigurationError

__all__ = ["LoadedSite", "load_layer", "load_settings"]


@dataclass(frozen=True)
class LoadedSite:
    """What runs the site's code.

    Attributes:
        layer: The layer as its backend's class made it.
        layer_name: Its alias and class, for people.
        run: Handles a message; for worker threads.
        channels: The channels whose messages it can handle.
        thread_ended: To be called in a worker thread that is about to end.
        ready: To be called when the workers are about to start.
    """

    layer: Any
    layer_name: str
    run: Callable[[str, dict[str, Any]], None]
    channels: frozenset[str]
    thread_ended: Callable[[], None]
    ready: Callable[[], None]


def load_settings(module: str | None) -> Mapping[str, Any]:
    """Set Django up with the settings *module* and return its ``TXCHANNELS``.

    Raises:
        ConfigurationError: There is no such module, or what it says cannot work. Where
            the fault is in the site's code, its traceback has been printed before.
    """
    if module:
        os.environ["DJANGO_SETTINGS_MODULE"] = module
    name = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    if not name:
        raise ConfigurationError(
            "--settings", None, "name the site's settings module, as in --settings=mysite.settings"
        )
    try:
        django.setup()
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                "--settings",
                name,
                f"there is no module {error.name!r} in {os.getcwd()} or on the Python path; "
                "start twistd in the project's folder, or name it with --pythonpath",
            ) from None
        raise _site_fault("--settings", name, error) from None
    except Exception as error:
        raise _site_fault("--settings", name, error) from None
    _show_errors()
    values = getattr(settings, "TXCHANNELS", {})
    if not isinstance(values, Mapping):
        raise ConfigurationError("TXCHANNELS", values, "must be a dict")
    return values


def load_layer(alias: str) -> LoadedSite:
    """The layer *alias* of the site that is set up, and what handles its messages.

    Raises: ConfigurationError: As of `load_settings`.
    """
    from txchannels.django.asgi import InvalidChannelLayerError, channel_layers
    from txchannels.django.dispatch import Dispatcher, close_thread
    from txchannels.django.handler import ViewConsumer
    from txchannels.django.signals import worker_process_ready, worker_ready

    if alias not in channel_layers:
        known = ", ".join(sorted(channel_layers.configs))
        raise ConfigurationError("--layer", alias, f"CHANNEL_LAYERS has only: {known}")
    try:
        wrapper = channel_layers[alias]
        router = wrapper.router
        router.check_default(http_consumer=_views(ViewConsumer))
    except (InvalidChannelLayerError, ConfigurationError) as error:
        raise ConfigurationError("CHANNEL_LAYERS", None, str(error)) from None
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"CHANNEL_LAYERS[{alias!r}]", None, str(error)) from None
    except Exception as error:
        raise _site_fault("CHANNEL_LAYERS", alias, error) from None

    def ready() -> None:
        worker_process_ready.send(sender=Dispatcher)
        worker_ready.send(sender=Dispatcher)

    return LoadedSite(
        layer=wrapper.channel_layer,
        layer_name=str(wrapper),
        run=Dispatcher(wrapper, router),
        channels=frozenset(router.channels),
        thread_ended=close_thread,
        ready=ready,
    )


def _views(view_consumer: type) -> Any:
    """The consumer of requests: under DEBUG it serves static files too."""
    if settings.DEBUG and "django.contrib.staticfiles" in settings.INSTALLED_APPS:
        from txchannels.django.staticfiles import StaticFilesConsumer

        return StaticFilesConsumer()
    return view_consumer()


def _site_fault(setting: str, value: str, error: Exception) -> ConfigurationError:
    """The fault is in the site's code: its traceback is what helps."""
    traceback.print_exception(error, file=sys.stderr)
    return ConfigurationError(
        setting, value, f"the site's code failed (traceback above): {type(error).__name__}: {error}"
    )


class _NotShownByDjango(logging.Filter):
    """Django itself shows its own loggers' records on the console under DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (settings.DEBUG and record.name.split(".")[0] == "django")


def _show_errors() -> None:
    """Let warnings and errors reach standard error, unless the site's LOGGING says where to."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(_NotShownByDjango())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
