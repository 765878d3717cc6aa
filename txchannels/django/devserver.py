"""What ``manage.py runserver`` does in the process that runs the site's code.

`Development` has the functions of `txchannels.django.bootstrap`, as a developer wants them:
static files by the command's options, the system checks shown, templates never stale.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, SystemCheckError
from django.core.signals import request_started
from django.template.autoreload import reset_loaders
from django.utils import autoreload

from txchannels.django import bootstrap
from txchannels.django.signals import consumer_started
from txchannels.errors import ConfigurationError

__all__ = ["TEMPLATES_UID", "Development", "read_templates_anew"]

#: The ``dispatch_uid`` of the receivers that `read_templates_anew` connects.
TEMPLATES_UID = "txchannels.devserver.templates"


class Development:
    """See the module.

    Args:
        wishes: ``use_static``, ``insecure``, ``skip_checks``, ``no_color`` and
            ``force_color``, as of the command; all False where they are missing.
    """

    def __init__(self, wishes: Mapping[str, Any]) -> None:
        self._wishes = wishes

    def load_settings(self, module: str | None) -> Mapping[str, Any]:
        """As of `bootstrap`. Code that asks for it sees that it is the one that serves."""
        os.environ["RUN_MAIN"] = "true"  # as Django's reloader has it in its inner process
        return bootstrap.load_settings(module)

    def load_layer(
        self, alias: str, root_path: str, layer: Any, consumer_found: Callable[[str], None]
    ) -> bootstrap.LoadedSite:
        """As of `bootstrap`."""
        loaded = bootstrap.load_layer(alias, root_path, layer, consumer_found, self.views)
        read_templates_anew()
        return loaded

    def check_site(self) -> None:
        """As of `bootstrap`, and what is no error is shown as well."""
        if self._wishes.get("skip_checks"):
            return
        command = self._terminal()
        command.stdout.write("Performing system checks...\n")
        try:
            command.check(display_num_errors=True)
        except SystemCheckError as error:
            raise ConfigurationError("manage.py check", None, str(error)) from None
        sys.stdout.flush()

    def check_databases(self) -> None:
        """As of `bootstrap`; migrations that are not applied are shown."""
        bootstrap.check_databases()
        self._terminal().check_migrations()
        sys.stdout.flush()

    def views(self) -> Any:
        """The consumer of requests."""
        from txchannels.django.handler import ViewConsumer

        is_wanted = self._wishes.get("use_static") and (
            settings.DEBUG or self._wishes.get("insecure")
        )
        if is_wanted and "django.contrib.staticfiles" in settings.INSTALLED_APPS:
            from txchannels.django.staticfiles import StaticFilesConsumer

            return StaticFilesConsumer()
        return ViewConsumer()

    def extra_files(self) -> Iterator[str]:
        """What the site wants to be watched beside its code: translations, files of its own.

        Not the templates: they are read anew anyhow.
        """
        from django.template.autoreload import watch_for_template_changes

        reloader = autoreload.StatReloader()
        autoreload.autoreload_started.disconnect(
            watch_for_template_changes, dispatch_uid="template_loaders_watch_changes"
        )
        autoreload.autoreload_started.send(sender=reloader)
        yield from map(str, reloader.extra_files)
        for folder, globs in reloader.directory_globs.items():
            for glob in globs:
                yield from map(str, folder.glob(glob))

    def _terminal(self) -> BaseCommand:
        return BaseCommand(
            no_color=bool(self._wishes.get("no_color")),
            force_color=bool(self._wishes.get("force_color")),
        )


def read_templates_anew() -> None:
    """From now on, each request and message finds the templates as they are then."""
    for signal in (request_started, consumer_started):
        signal.connect(_forget_templates, dispatch_uid=TEMPLATES_UID)


def _forget_templates(**_signal: Any) -> None:
    """Under DEBUG, Django keeps templates until its own reloader sees a change."""
    try:
        reset_loaders()
    except Exception:  # noqa: S110 - who uses a template is told what is wrong with them
        pass
