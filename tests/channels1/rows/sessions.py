"""Section 8: sessions, users, order."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

SESSIONS: Section = {
    "channel_session": tests(
        django__sessions=(
            "a_sockets_session_is_found_by_its_reply_channel "
            "a_channel_session_lasts_from_message_to_message "
            "sockets_cannot_keep_sessions_in_cookies sockets_may_have_an_engine_of_their_own "
            "methods_and_keyword_arguments_pass_through "
            "without_a_message_a_consumer_cannot_be_called "
            "without_a_reply_channel_there_is_no_session "
            "a_session_that_cannot_be_created_now_is_tried_later "
            "a_change_is_saved_also_when_the_consumer_raises an_unchanged_session_is_not_saved "
            "a_session_that_the_consumer_flushes_stays_flushed nested_decorators_share_one_session"
        ),
        project__plain="a_socket_counts",
    ),
    "http_session": tests(
        django__sessions=(
            "the_browsers_session_is_found_by_its_cookie the_query_parameter_wins_over_the_cookie "
            "without_either_there_is_no_http_session "
            "a_message_that_is_not_like_a_request_is_refused "
            "a_changed_http_session_is_saved "
            "a_changed_http_session_is_not_saved_when_the_consumer_raises "
            "nested_decorators_share_one_http_session"
        ),
        channels1__api_rows="a_browsers_session_need_not_exist",
        project__plain="the_browsers_session",
    ),
    "channel_and_http_session": tests(
        django__sessions=(
            "later_messages_have_the_session_of_the_connect "
            "without_a_cookie_there_is_only_the_channel_session "
            "a_change_of_a_later_message_is_saved"
        ),
        project__plain="both_sessions_on_every_message",
        ported__served="sessions_of_sockets_and_browsers",
    ),
    "channel_session_user": tests(
        django__auth=(
            "a_socket_keeps_the_user_it_connected_with a_socket_without_a_user_is_anonymous "
            "after_a_change_of_password_the_user_is_anonymous_and_the_session_stays"
        ),
        ported__served="a_room_with_users_and_order",
    ),
    "http_session_user": tests(
        django__auth="the_user_of_the_browsers_session without_a_session_the_user_is_anonymous",
        project__plain="users",
    ),
    "channel_session_user_from_http": tests(
        django__auth="a_socket_keeps_the_user_it_connected_with",
        ported__served="a_room_with_users_and_order",
    ),
    "channel_and_http_session_user_from_http": tests(
        django__auth="later_messages_have_both_sessions_and_the_user",
        project__plain="users",
        ported__served="sessions_of_sockets_and_browsers",
    ),
    "transfer_user": tests(
        django__auth="a_user_is_transferred_whole half_a_user_is_not_transferred",
    ),
    "enforce_ordering": tests(
        django__sessions_ordering=(
            "messages_without_an_order_are_refused without_the_connect_nothing_runs "
            "messages_in_order_are_handled_at_once "
            "a_message_that_comes_too_early_waits_and_goes_back_when_it_is_due "
            "a_message_that_became_due_while_it_was_put_to_wait_goes_back too_many_waiting_is_told "
            "slight_ordering_is_gone it_can_be_written_with_and_without_parentheses "
            "a_consumer_that_raises_does_not_stall_its_socket"
        ),
        project__plain="a_message_that_comes_too_early_waits",
        ported__served="a_room_with_users_and_order",
    ),
    "requeue_messages, wait_channel_name, session_for_reply_channel": tests(
        django__sessions_ordering=(
            "the_wait_channel_is_a_single_reader_one what_waits_goes_back_in_its_order "
            "what_finds_its_channel_full_goes_on_waiting"
        ),
        django__sessions="a_sockets_session_is_found_by_its_reply_channel",
    ),
}
