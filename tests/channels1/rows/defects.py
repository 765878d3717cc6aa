"""Section 19: what was wrong with the original, by its number there."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

DEFECTS: Section = {
    "1 exceptions that ended the worker": tests(
        django__dispatch=(
            "denying_elsewhere_is_an_error_of_that_consumer "
            "a_socket_exception_whose_run_fails_is_logged_once_and_answered "
            "a_layer_that_fails_harms_neither_the_others_nor_the_thread"
        ),
        channels1__any_exception=(
            "what_is_to_be_done_to_a_socket_and_cannot_be_is_told a_socket_and_its_neighbour_go_on"
        ),
    ),
    "2 long streams ended all timeouts": tests(
        protocols__http1_limits="a_stream_may_pause_for_ever",
    ),
    "3 timeouts of handshakes": tests(
        protocols__websocket="a_handshake_that_nobody_answers_is_403_after_its_timeout"
    ),
    "4 empty frames": tests(
        integration__websocket="texts_and_bytes_come_back", ported__served="classes"
    ),
    "5 answers out of order": tests(
        protocols__http1_pipelining="pipelined_requests_are_answered_in_order"
    ),
    "6 no scheme and no root path": tests(
        protocols__websocket="the_connect_message_says_what_the_client_asked"
    ),
    "7 a bad message ended the delay server": tests(
        django__delay__consumers="a_bad_message_is_logged_and_skipped",
        integration__delay="bad_messages_are_logged_and_harm_nothing",
    ),
    "8 capacities by channel": tests(layers__memory="the_sites_capacities_win_over_the_defaults"),
    "9 eviction from groups": tests(layers__memory="a_channel_that_nobody_reads_leaves_its_groups"),
    "10 a connection for each message": tests(
        layers__redis__connection="replies_come_in_the_order_of_the_calls_however_they_are_cut"
    ),
    "11 no disconnect after 1013": tests(
        protocols__websocket_limits="a_channel_that_stays_full_closes_with_1013_after_the_timeout_only"
    ),
    "12 a path that is not ASCII": tests(
        protocols__request="a_byte_that_is_not_plain_in_a_target_is_answered_400",
        protocols__access_log="nothing_in_a_target_ends_the_line_or_the_quotes",
    ),
    "13 the check of close codes": tests(
        django__exceptions="a_code_that_applications_must_not_send_is_refused"
    ),
    "14 classes that were patched": tests(
        django__generic__streams="a_stream_has_no_send_without_its_name_and_its_class_keeps_its_own"
    ),
    "15 sends of a consumer that failed": tests(
        django__dispatch="sends_of_a_consumer_that_fails_go_out_too",
        channels1__any_exception="a_handshake_that_was_accepted_before_is_denied",
    ),
}
