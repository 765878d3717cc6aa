"""What every channel layer must do, as tests for any backend.

For the authors of layers. Mix it into a `unittest.TestCase` and say how a layer is made;
nothing but the standard library is needed::

    class RedisConformance(LayerConformance, unittest.TestCase):
        def make_layer(self, **config):
            return RedisLayer(hosts=[...], **config)

- `LayerConformance`: the blocking face. It must be as ASGI draft version 1 has it; what is
  ours on top of that (``send_many``) is tested where the layer has it.
- `ReactorConformance`: the face that a layer has which the daemon itself can use.

The hooks are those of `hooks.LayerTests`.
"""

from __future__ import annotations

from txchannels.testing.conformance.extensions import ExtensionTests, GroupTests
from txchannels.testing.conformance.messages import MessageTests
from txchannels.testing.conformance.reactor import ReactorConformance

__all__ = ["LayerConformance", "ReactorConformance"]


class LayerConformance(MessageTests, GroupTests, ExtensionTests):
    """The blocking face of a layer; see the module."""
