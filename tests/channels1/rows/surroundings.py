"""Sections 14 to 16: origins, signals, logs, checks, the client in the browser, settings."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

SURROUNDINGS: Section = {
    "origins": tests(
        django__security_websockets=(
            "a_page_of_an_allowed_host_may_connect any_other_is_denied "
            "without_an_origin_or_with_two_it_is_denied "
            "without_hosts_the_own_machine_is_allowed_under_debug_only a_validator_must_decide "
            "the_decorated_consumer_keeps_its_name a_validator_of_ones_own_decides"
        ),
        project__plain="who_may_come_in",
        ported__served="doors",
    ),
    "signals": tests(
        django__signals="around_a_consumer_old_connections_are_closed",
        django__bootstrap="ready_sends_the_workers_signals",
        ported__served="the_signals_of_its_workers",
    ),
    "logging": tests(
        channels1__api_rows="failures_are_told_to_the_loggers_of_channels_1",
        django__bootstrap="errors_reach_standard_error a_site_that_says_where_to_is_left_alone",
    ),
    "checks": tests(
        django__asgi="a_layer_without_send_many_is_adapted",
        ported__ported="nothing_is_wrong_with_it",
    ),
    "the application": tests(
        django__signals="the_app_has_the_label_of_the_package",
        ported__served="rows_go_out_and_come_in",
    ),
}

JAVASCRIPT: Section = {
    "the bridge": tests(
        integration__javascript_client=(
            "the_plain_script_has_the_name_of_channels_1_and_no_other a_program_of_channels_1_runs "
            "urls_are_relative_to_the_page a_page_of_https_has_wss "
            "each_served_file_has_a_bridge_that_talks"
        )
    )
}

SETTINGS: Section = {
    "CHANNEL_LAYERS": tests(
        django__asgi=(
            "a_backend_is_made_of_its_config a_test_backend_has_the_test_config "
            "a_routing_is_imported_when_it_is_needed"
        )
    ),
    "CHANNEL_SESSION_ENGINE": tests(django__sessions="sockets_may_have_an_engine_of_their_own"),
    "CHANNELS_WS_PROTOCOLS": tests(
        django__management__runserver="settings_of_channels_1_become_options_of_the_daemon"
    ),
    "FORCE_SCRIPT_NAME": tests(
        django__request="the_site_may_say_itself_where_it_hangs",
        django__dispatch="reverse_in_a_consumer_knows_where_the_site_hangs",
        django__bootstrap="static_urls_have_the_prefix_of_the_site",
    ),
    "SESSION_COOKIE_NAME, SESSION_ENGINE": tests(
        django__sessions=(
            "the_browsers_session_is_found_by_its_cookie "
            "later_messages_have_the_session_of_the_connect"
        )
    ),
    "ALLOWED_HOSTS, DEBUG": tests(
        django__security_websockets=(
            "any_other_is_denied without_hosts_the_own_machine_is_allowed_under_debug_only"
        )
    ),
    "STATIC_URL": tests(django__staticfiles="a_static_file_is_served another_path_is_the_views"),
    "no layer": tests(
        django__asgi="without_settings_the_default_is_the_memory_layer_without_routes",
        django__bootstrap="without_a_layer_a_site_has_views_and_no_websockets",
    ),
}
