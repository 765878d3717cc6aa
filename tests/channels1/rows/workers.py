"""Section 7: what runs consumers, and the commands that start it."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

WORKERS: Section = {
    "a worker": tests(
        django__dispatch=(
            "a_message_that_no_route_takes_is_logged_and_consumed "
            "a_route_that_fails_is_logged_and_answered"
        ),
        working="workers_run_what_comes_and_stop_with_no_thread_left",
        django__management__runworker="a_message_is_shown_only_if_asked_for",
    ),
    "which channels": tests(
        working="only_the_selected_channels_are_read globs_select_channels",
    ),
    "ConsumeLater": tests(
        django__dispatch=(
            "a_message_for_later_is_put_back_and_not_consumed "
            "a_message_that_was_put_back_too_often_is_given_up_and_consumed "
            "a_message_that_cannot_be_put_back_is_consumed a_consumer_knows_its_last_chance"
        ),
        ported__served="a_post_is_told_at_once_and_again_from_behind_the_scenes",
    ),
    "DenyConnection": tests(
        django__dispatch=(
            "a_denied_connection_is_closed denying_elsewhere_is_an_error_of_that_consumer"
        ),
        channels1__any_exception="what_is_to_be_done_to_a_socket_and_cannot_be_is_told",
        ported__served="doors",
    ),
    "ChannelSocketException": tests(
        django__dispatch="a_socket_exception_whose_run_fails_is_logged_once_and_answered",
        project__plain="thrown_out",
    ),
    "other exceptions": tests(
        django__dispatch="whatever_a_consumer_raises_is_logged_once_with_all_that_helps",
        channels1__any_exception=(
            "a_handshake_is_denied a_socket_and_its_neighbour_go_on a_request_is_answered_500 "
            "a_disconnect_is_told a_json_consumer_goes_on"
        ),
        channels1__api_rows="a_log_handler_that_fails_costs_the_traceback_alone",
    ),
    "signals around messages": tests(
        django__dispatch=(
            "signals_are_sent_before_and_after_whatever_happens "
            "sends_have_gone_out_when_finished_is_sent"
        ),
        channels1__any_exception="a_receiver_of_a_signal_costs_its_message",
        ported__served="the_signals_of_its_workers",
    ),
    "SIGTERM and SIGINT": tests(
        integration__stop=(
            "an_idle_daemon_stops_at_once "
            "a_running_view_is_finished_while_new_connections_are_refused"
        ),
        integration__processes_deaths="asked_to_end_it_finishes_what_it_runs",
    ),
    "threads": tests(
        integration__websocket="consumers_of_several_sockets_run_at_once",
        workers__pool="messages_that_were_taken_before_the_stop_are_run",
    ),
    "runworker": tests(
        django__management__runworker=(
            "it_becomes_twistd its_options_are_those_of_twistd the_memory_layer_is_refused "
            "a_layer_is_named_by_the_option_or_by_the_site verbosity_asks_for_the_messages"
        ),
        django__bootstrap=(
            "ready_sends_the_workers_signals static_files_are_served_under_debug_only"
        ),
    ),
    "runserver": tests(
        django__management__runserver=(
            "an_option_becomes_one_of_the_daemon "
            "settings_of_channels_1_become_options_of_the_daemon "
            "the_banner_names_settings_address_and_layer djangos_own_server_runs_where_ours_cannot"
        ),
        integration__runserver=(
            "pages_static_files_and_sockets_are_served_on_one_port "
            "a_socket_stays_open_over_edits_good_and_bad "
            "static_files_are_served_as_the_options_say djangos_own_server_is_there_if_asked_for"
        ),
    ),
    "another server class": tests(
        django__management__runserver="subclasses_choose_address_program_and_options",
    ),
    "rundelay": tests(integration__delay="rundelay_stores_and_sends"),
    "deployment": tests(
        integration__processes_reload=(
            "sighup_brings_new_code_to_open_sockets streams_and_uploads_go_on_over_a_reload"
        ),
        integration__redis_hosts="a_worker_that_is_stopped_finishes_what_it_has_begun",
    ),
}
