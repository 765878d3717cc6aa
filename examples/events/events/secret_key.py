"""A secret key that nobody has to think of, and that git never sees."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from django.core.management.utils import get_random_secret_key

__all__ = ["read_or_make"]


def read_or_make(path: Path) -> str:
    """The key in *path*, which is made if it is not there (readable by its owner only).

    Several processes may ask at once: they all get the key of the one that came first.
    """
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:
            draft.write(get_random_secret_key())
            draft.flush()
            with suppress(FileExistsError):
                path.hardlink_to(draft.name)
    return path.read_text()
