"""A settings module into what the daemon needs of the site: its layer and its dispatcher."""

from __future__ import annotations

import copy
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver, set_script_prefix

import txchannels
from txchannels.errors import ConfigurationError

__all__ = ["LoadedSite", "check_databases", "check_site", "load_layer", "load_settings"]

OURS = str(Path(txchannels.__file__).parent)


@dataclass(frozen=True)
class LoadedSite:
    """What runs the site's code.

    Attributes:
        settings_module: Where the site's settings are.
        layer: The layer as its backend's class made it.
        layer_name: Its alias and class, for people.
        is_local: Whether no other process can reach the layer.
        layer_joined: To be called when the reactor's face of the layer was taken: the
            site's code then uses the blocking face that belongs to it.
        run: Handles a message; for worker threads.
        channels: The channels whose messages it can handle.
        thread_ended: To be called in a worker thread that is about to end.
        ready: To be called when the workers are about to start. Raises
            ConfigurationError where the site's code fails.
        is_host_allowed: Whether the site serves a host (and port): ``ALLOWED_HOSTS``.
    """

    settings_module: str
    layer: Any
    layer_name: str
    is_local: bool
    layer_joined: Callable[[], None]
    run: Callable[[str, dict[str, Any]], None]
    channels: frozenset[str]
    thread_ended: Callable[[], None]
    ready: Callable[[], None]
    is_host_allowed: Callable[[str], bool]


def load_settings(module: str | None) -> Mapping[str, Any]:
    """Set Django up with the settings *module* and return its ``TXCHANNELS``.

    Raises:
        ConfigurationError: There is no such module, or what it says cannot work. Where
            the fault is in the site's code, its traceback has been printed before.
    """
    if module:
        os.environ["DJANGO_SETTINGS_MODULE"] = module
    name = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    setting = "--settings" if module else "DJANGO_SETTINGS_MODULE"
    if not name:
        raise ConfigurationError(
            "--settings", None, "name the site's settings module, as in --settings=mysite.settings"
        )
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(setting, name, "is no module's dotted name, as mysite.settings is")
    try:
        django.setup()
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                setting,
                name,
                f"there is no module {error.name!r} in {Path.cwd()} or on the Python path; "
                "start twistd in the project's folder, or name it with --pythonpath",
            ) from None
        raise _site_fault(setting, name, error) from None
    except Exception as error:
        raise _site_fault(setting, name, error) from None
    _show_errors()
    values = getattr(settings, "TXCHANNELS", {})
    if not isinstance(values, Mapping):
        raise ConfigurationError("TXCHANNELS", values, "must be a dict")
    return values


def load_layer(
    alias: str,
    root_path: str = "",
    layer: Any = None,
    consumer_found: Callable[[str], None] | None = None,
    views: Callable[[], Any] | None = None,
) -> LoadedSite:
    """The layer *alias* of the site that is set up, and what handles its messages.

    Args:
        root_path: Where the site hangs.
        layer: Stands for the one that the settings name, as they are.
        consumer_found: Called with a consumer's name, in its thread, before it is called.
        views: Makes the consumer of requests, if it is not the usual one.

    Raises: ConfigurationError: As of `load_settings`.
    """
    from txchannels.django.asgi import InvalidChannelLayerError, channel_layers
    from txchannels.django.databases import ThreadConnections
    from txchannels.django.dispatch import Dispatcher
    from txchannels.django.handler import ViewConsumer
    from txchannels.django.hosts import is_host_allowed
    from txchannels.django.shown_messages import shown
    from txchannels.django.signals import worker_process_ready, worker_ready

    configured = getattr(settings, "CHANNEL_LAYERS", {})
    if not isinstance(configured, Mapping) or not all(
        isinstance(entry, Mapping) for entry in configured.values()
    ):
        raise ConfigurationError(
            "CHANNEL_LAYERS",
            configured,
            f"must be a dict of dicts{', not None' if configured is None else ''}: "
            "{'default': {'BACKEND': ...}}",
        )
    if alias not in channel_layers:
        known = ", ".join(sorted(channel_layers.configs))
        raise ConfigurationError("--layer", alias, f"CHANNEL_LAYERS has only: {known}")
    where = f"CHANNEL_LAYERS[{alias!r}]"
    # Django keeps STATIC_URL and MEDIA_URL with the prefix of their first use.
    script_name = settings.FORCE_SCRIPT_NAME or root_path
    set_script_prefix(script_name or "/")
    try:
        if layer is not None:
            channel_layers.put_in_place(alias, layer)
        wrapper = channel_layers[alias]
        router = wrapper.router
        router.root_path = script_name
        router.check_default(http_consumer=views() if views else _views(ViewConsumer))
    except (InvalidChannelLayerError, ConfigurationError) as error:
        raise ConfigurationError(where, None, str(error).removeprefix(f"{where}: ")) from None
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"{where}['ROUTING']", None, str(error)) from None
    except Exception as error:
        raise _site_fault(where, None, error) from None

    _import_urls()

    databases = ThreadConnections()
    databases.take_over()

    def ready() -> None:
        try:
            worker_process_ready.send(sender=Dispatcher)
            worker_ready.send(sender=Dispatcher)
        except Exception as error:
            raise _site_fault("worker_ready", None, error) from None

    return LoadedSite(
        settings_module=settings.SETTINGS_MODULE,
        layer=wrapper.channel_layer,
        layer_name=str(wrapper),
        is_local=wrapper.local_only(),
        layer_joined=wrapper.rebind,
        run=shown(
            Dispatcher(
                wrapper,
                router,
                databases=databases,
                script_name=script_name,
                consumer_found=consumer_found,
            )
        ),
        channels=frozenset(router.channels),
        thread_ended=databases.thread_ended,
        ready=ready,
        is_host_allowed=is_host_allowed,
    )


def _import_urls() -> None:
    """Import the views now: what is wrong shows at the start, not at the first request."""
    name = getattr(settings, "ROOT_URLCONF", None)
    if not name:
        return
    try:
        get_resolver().url_patterns  # noqa: B018 - looking at it imports it
    except Exception as error:
        raise _site_fault("ROOT_URLCONF", name, error) from None


def check_site() -> list[str]:
    """What ``manage.py check`` does.

    Returns: The warnings that it shows, a line each.
    Raises: ConfigurationError: It finds errors; they are its text.
    """
    from django.core.checks import ERROR, WARNING, run_checks

    try:
        found = run_checks()
    except Exception as error:
        raise _site_fault("manage.py check", None, error) from None
    found = [one for one in found if not one.is_silenced()]
    errors = [one for one in found if one.is_serious(ERROR)]
    if errors:
        raise ConfigurationError("manage.py check", None, "\n".join(map(str, errors)))
    return [" ".join(str(one).split()) for one in found if one.is_serious(WARNING)]


def check_databases() -> None:
    """Reach every database of the site once.

    Raises: ConfigurationError: One cannot be reached.
    """
    from django.db import connections

    for alias in connections:
        connection = connections[alias]
        if connection.settings_dict["ENGINE"] == "django.db.backends.dummy":
            continue
        try:
            connection.ensure_connection()
        except Exception as error:
            raise ConfigurationError(
                f"DATABASES[{alias!r}]", None, f"cannot be reached: {error}"
            ) from None
        finally:
            connection.close()


def _views(view_consumer: type) -> Any:
    """The consumer of requests: under DEBUG it serves static files too."""
    if settings.DEBUG and "django.contrib.staticfiles" in settings.INSTALLED_APPS:
        from txchannels.django.staticfiles import StaticFilesConsumer

        return StaticFilesConsumer()
    return view_consumer()


def _site_fault(setting: str, value: str | None, error: Exception) -> ConfigurationError:
    """The fault is in the site's code: its traceback, from there on, is what helps."""
    stack = error.__traceback__
    while stack is not None and stack.tb_frame.f_code.co_filename.startswith(OURS):
        stack = stack.tb_next
    if isinstance(error, ImproperlyConfigured):
        return ConfigurationError(setting, value, str(error))
    if stack is None:
        return ConfigurationError(setting, value, f"{type(error).__name__}: {error}")
    # sys.stderr may be twistd's log by now
    traceback.print_exception(type(error), error, stack, file=sys.__stderr__)
    return ConfigurationError(
        setting, value, f"the site's code failed (traceback above): {type(error).__name__}: {error}"
    )


class _NotShownByDjango(logging.Filter):
    """Django itself shows its own loggers' records on the console under DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (settings.DEBUG and record.name.split(".")[0] == "django")


class _Formatter(logging.Formatter):
    """One line for what a client did wrong: strangers must not fill the log with tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name.startswith("django.security.") or (
            record.name == "django.request" and record.levelno < logging.ERROR
        ):
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)


def _show_errors() -> None:
    """Let warnings and errors reach standard error, unless the site's LOGGING says where to."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(_NotShownByDjango())
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
