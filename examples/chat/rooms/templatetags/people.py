"""`{% avatar user %}`: the coloured circle that stands for a user."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.auth.models import AbstractBaseUser

from rooms.people import as_person

__all__ = ["avatar"]

register = template.Library()


@register.inclusion_tag("rooms/avatar.html")
def avatar(user: AbstractBaseUser | dict[str, Any]) -> dict[str, Any]:
    """*user*: a user, or what `as_person` made of one."""
    return {"person": user if isinstance(user, dict) else as_person(user)}
