"""What a supervisor is told of the settings, or why they cannot work."""

from __future__ import annotations

import pytest
from django.test import override_settings

from txchannels.django.facts import describe_settings
from txchannels.errors import ConfigurationError


@pytest.mark.parametrize("name", ["CHANNEL_LAYERS", "TXCHANNELS"])
@pytest.mark.parametrize(
    ("value", "says"), [(None, ": must be a dict, not None"), ([], r" \[\]: must be a dict")]
)
def test_settings_that_are_no_dicts_are_refused(name, value, says):
    with (
        override_settings(**{name: value}),
        pytest.raises(ConfigurationError, match=f"^{name}{says}$"),
    ):
        describe_settings("")
