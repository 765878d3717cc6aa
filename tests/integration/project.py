"""A site fresh from `django-admin startproject`, which knows nothing of us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.daemon import WAIT_SECONDS, Daemon, bare_environment

__all__ = ["ADMIN", "Project"]

ADMIN = {"username": "admin", "password": "correct horse"}

PRODUCTION = """
from mysite.settings import *

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
"""


class Project:
    """Made by `startproject`; its migrations have run and there is one superuser.

    `mysite.production` is the same site without DEBUG.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run("-m", "django", "startproject", "mysite", str(folder))
        (folder / "mysite" / "production.py").write_text(PRODUCTION)
        self._run("manage.py", "migrate", "--verbosity=0")
        self._run(
            *("manage.py", "createsuperuser", "--noinput", "--email=a@example.com"),
            f"--username={ADMIN['username']}",
            DJANGO_SUPERUSER_PASSWORD=ADMIN["password"],
        )

    def _run(self, *arguments: str, **environment: str) -> None:
        subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=bare_environment(**environment) | {"PYTHONWARNINGS": "ignore"},
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=WAIT_SECONDS,
        )

    def daemon(self, settings: str, *options: str) -> Daemon:
        """A daemon that serves it, to be started."""
        return Daemon(settings, *options, folder=self.folder)

    def write(self, path: str, text: str) -> None:
        """Put a file into it."""
        target = self.folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        os.utime(target)
