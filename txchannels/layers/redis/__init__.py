"""A channel layer that spans hosts: hubs joined through Redis or Valkey."""

from __future__ import annotations

from txchannels.layers.redis.layer import RedisLayer

__all__ = ["RedisLayer"]
