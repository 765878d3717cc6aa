"""A site for what the pages say, and its database for those that ask for it."""

from __future__ import annotations

import django

django.setup()

from tests.django.conftest import database, tables

__all__ = ["database", "tables"]
