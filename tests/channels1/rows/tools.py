"""Section 13: what tests of sites are written with."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

TOOLS: Section = {
    "ChannelTestCase, TransactionChannelTestCase": tests(
        django__test_tools__cases=(
            "nothing_is_left_of_another_test "
            "a_sent_message_that_nobody_consumes_can_be_asserted_on "
            "a_missing_message_fails_and_says_where_there_are_some "
            "only_the_named_layers_are_replaced a_consumers_rows_are_committed"
        ),
        channels1__api_rows="arguments_that_cases_take_by_place",
        project__plain="what_was_sent_can_be_looked_at layers",
    ),
    "Client": tests(
        django__test_tools__client=(
            "a_message_goes_to_its_consumer_and_the_reply_comes_back send_and_consume_is_both "
            "no_message_fails_and_says_where_there_are_some no_route_fails_and_shows_the_message "
            "fail_on_none_allows_both a_denied_connection_is_closed "
            "signals_are_sent_and_close_no_connection a_client_can_join_a_group "
            "the_consumer_of_a_channel_is_found_without_a_message "
            "a_client_uses_the_layer_that_stands_there_now"
        ),
        channels1__api_rows="arguments_of_the_clients_are_in_the_order_of_channels_1",
        project__plain="a_client_in_a_group",
        project__more="another_layer",
    ),
    "WSClient": tests(
        django__test_tools__websocket_client=(
            "cookies_are_read_by_django_as_they_were_set cookies_are_no_header "
            "headers_are_sent_with_the_connect_and_read_by_a_request "
            "the_browsers_session_is_found_by_consumers a_user_can_log_in "
            "a_user_can_be_logged_in_without_credentials what_is_no_text_is_sent_as_json "
            "replies_are_decoded a_connect_must_be_accepted_and_the_acceptance_is_taken "
            "another_answer_fails_and_is_shown an_ordered_client_numbers_its_messages "
            "the_old_name_warns"
        ),
        channels1__api_rows="arguments_of_the_clients_are_in_the_order_of_channels_1",
        project__plain="the_old_name_of_the_client a_refused_client_fails_the_test",
    ),
    "apply_routes": tests(
        django__test_tools__apply_routes=(
            "what_routes_may_be a_function_is_decorated they_are_there_from_set_up_to_tear_down "
            "aliases_say_which_layers the_sites_own_routes_are_away_meanwhile"
        ),
        project__more="routes_for_a_while a_dict_of_routes",
    ),
    "ChannelLiveServerTestCase": tests(
        django__test_tools__manage_py=(
            "a_live_server_with_databases_in_memory a_live_server_with_databases_in_files "
            "a_live_server_with_the_layer_of_test_config"
        ),
        project__live="a_page_a_file_and_a_socket",
    ),
    "the old module": tests(django__test_tools__websocket_client="the_old_module_warns"),
}
