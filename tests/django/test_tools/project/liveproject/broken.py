"""Live tests whose daemon cannot start: they fail, and say why; the next ones run."""

import unittest

from django.test import override_settings

from txchannels.django.asgi import channel_layers
from txchannels.django.test import ChannelLiveServerTestCase
from txchannels.django.test import ChannelTestCase as _ChannelTestCase


class A1BadOption(ChannelLiveServerTestCase):
    daemon_options = ("--no-such-option",)

    def test_it(self):
        raise AssertionError("never run")


@override_settings(GREETING=object())
class A2BadSetting(ChannelLiveServerTestCase):
    def test_it(self):
        raise AssertionError("never run")


@override_settings(ROOT_URLCONF="liveproject.missing")
class A3BadSite(ChannelLiveServerTestCase):
    def test_it(self):
        raise AssertionError("never run")


class A4BadLayer(ChannelLiveServerTestCase):
    channel_alias = "nowhere"

    def test_it(self):
        raise AssertionError("never run")


class A5Outside(unittest.TestCase):
    def test_no_url(self):
        _ = A4BadLayer("test_it").live_server_url


class A6Fine(_ChannelTestCase):
    def test_it(self):
        assert channel_layers["default"].local_only()
