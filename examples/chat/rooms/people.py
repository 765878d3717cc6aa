"""A user as the others see them: a name, and a coloured circle with initials."""

from __future__ import annotations

import re
from typing import Any
from zlib import crc32

from django.contrib.auth.models import AbstractBaseUser

__all__ = ["as_person"]

HUES = 10


def as_person(user: AbstractBaseUser) -> dict[str, Any]:
    """What a browser needs to show *user*."""
    name = user.get_username()
    words = [word for word in re.split(r"[\W_]+", name) if word]
    initials = "".join(word[0] for word in words[:2]) or name[:1]
    return {"name": name, "initials": initials.upper(), "hue": crc32(name.encode()) % HUES}
