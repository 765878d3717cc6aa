"""Sections 10 to 12: consumers as classes, rows that browsers see change, messages for later."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

CLASSES: Section = {
    "BaseConsumer": tests(
        django__generic__base=(
            "each_message_makes_an_instance_and_calls_the_method_of_its_channel "
            "its_channels_are_those_that_have_a_method a_route_takes_filters "
            "a_route_may_change_attributes_and_the_class_keeps_its_own "
            "a_channel_session_is_given_and_kept a_channel_session_comes_with_a_user_if_asked_for "
            "a_handler_may_be_decorated_where_it_is_got"
        ),
        project__more="several_channels_and_a_session one_class_in_two_routes a_guarded_class",
    ),
    "WebsocketConsumer": tests(
        django__generic__consumer=(
            "it_is_routed_for_the_three_channels_of_a_socket "
            "users_and_sessions_are_those_that_the_flags_ask_for "
            "strict_ordering_handles_messages_in_order slight_ordering_is_refused_by_name "
            "methods_know_the_path_and_what_the_route_matched "
            "groups_are_joined_before_connect_and_left_before_disconnect "
            "groups_may_depend_on_what_the_route_matched "
            "a_socket_is_accepted_and_the_rest_ignored_unless_overridden "
            "who_overrides_connect_accepts "
            "frames_are_sent_and_may_close_the_socket what_is_no_frame_is_refused_by_name "
            "frames_are_sent_to_groups the_socket_is_closed"
        ),
        ported__served="classes",
    ),
    "which kind of frame": tests(
        django__generic__consumer=(
            "a_text_comes_as_text_also_where_the_message_has_both_keys bytes_come_as_bytes "
            "a_layer_may_leave_out_the_key_of_the_other_kind"
        )
    ),
    "JsonWebsocketConsumer": tests(
        django__generic__json=(
            "what_the_json_says_is_received_and_sent json_is_sent_to_groups "
            "another_json_may_be_spoken bytes_close_the_socket_with_1003 "
            "a_bad_frame_is_a_value_error_as_in_channels_1 what_json_cannot_say_is_refused_by_name"
        ),
        channels1__bad_frames=(
            "malformed_json_and_wrong_streams_close_with_1007 "
            "bytes_where_text_should_be_close_with_1003"
        ),
        project__more="rooms",
    ),
    "WebsocketMultiplexer": tests(
        django__generic__streams=(
            "a_payload_may_hold_what_django_can_say_in_json a_payload_is_sent_to_groups "
            "the_multiplexer_may_be_of_another_class"
        ),
        project__more="a_frame_for_a_stream",
    ),
    "WebsocketDemultiplexer": tests(
        django__generic__streams=(
            "a_payload_goes_to_its_streams_consumer_alone_and_is_answered_there "
            "a_function_finds_the_payload_as_the_messages_text "
            "the_socket_is_accepted_first_and_every_stream_told every_stream_is_told_of_the_end "
            "a_wrong_frame_is_a_value_error_as_in_channels_1 what_is_sent_needs_a_stream "
            "a_stream_has_no_send_without_its_name_and_its_class_keeps_its_own "
            "consumers_have_what_the_route_matched"
        ),
        channels1__bad_frames="malformed_json_and_wrong_streams_close_with_1007",
        project__more="streams",
        ported__served="streams",
    ),
}

BINDING: Section = {
    "registration": tests(ported__ported="every_name_of_channels_1_is_here its_own_tests_pass"),
    "outbound": tests(project__rows="rows_go_out", ported__served="rows_go_out_and_come_in"),
    "encoding": tests(project__rows="rows_go_out"),
    "inbound": tests(
        project__rows="rows_come_in_from_those_who_may", ported__served="rows_go_out_and_come_in"
    ),
    "WebsocketBindingWithMembers": tests(project__rows="rows_go_out"),
}

DELAY: Section = {
    "DelayedMessage": tests(project__rows="a_message_for_later"),
    "asgi.delay": tests(
        ported__served="a_message_for_later_comes_later",
        integration__delay="bad_messages_are_logged_and_harm_nothing",
    ),
}
