"""What docs/delay.md shows works as it is written there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import TestCase

from txchannels.django import route
from txchannels.django.delay.models import DelayedMessage
from txchannels.django.test.layers import layers_for_tests

PAGE = Path(__file__).parents[3] / "docs" / "delay.md"


def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def block_with(text):
    [found] = [block for block in blocks() if text in block]
    return found


def run_block(text, **names):
    exec(compile(block_with(text), str(PAGE), "exec"), names)
    return names


def test_the_setting_names_an_app():
    names = run_block("INSTALLED_APPS +=", INSTALLED_APPS=[])
    assert names["INSTALLED_APPS"] == ["txchannels.django.delay"]


@pytest.mark.usefixtures("tables")
class TestThePage(TestCase):
    def test_the_models_names(self):
        with layers_for_tests() as layers:
            names = run_block("row.send()  # now")
            assert layers["default"].receive(["jobs.mail"])[1] == {"to": 42}
        assert names["row"].pk is None or not DelayedMessage.objects.exists()

    def test_the_consumer_and_its_test(self):
        remind = run_block("def remind(message)")["remind"]
        names = run_block(
            "class ReminderTests", channel_routing=[route("websocket.receive", remind)]
        )
        result = names["ReminderTests"]("test_a_reminder_is_stored").run()
        assert result.testsRun == 1
        assert result.wasSuccessful(), result.failures + result.errors
