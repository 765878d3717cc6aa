"""What of a path is below the place where the site hangs."""

from __future__ import annotations

__all__ = ["below"]


def below(path: str, script_name: str) -> str | None:
    """The rest of *path* below *script_name*; None if it does not begin with that.

    A whole part of the path counts: ``/shopping`` is not below ``/shop``.
    """
    prefix = script_name.rstrip("/")
    if path == prefix or path.startswith(f"{prefix}/"):
        return path[len(prefix) :] or "/"
    return None
