"""Section 9: requests, responses, views."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

VIEWS: Section = {
    "AsgiRequest": tests(
        django__request=(
            "meta_is_what_wsgi_makes_of_it a_request_says_what_djangos_says "
            "the_root_path_is_cut_off_where_the_proxy_has_not a_unix_socket_has_no_addresses "
            "without_a_host_it_is_where_the_server_listens headers_may_be_a_dict_as_they_were_once "
            "what_is_asked_of_the_message_is_there a_message_may_lack_everything_but_a_path"
        )
    ),
    "encoding": tests(
        django__request=(
            "the_charset_is_the_encoding_if_python_knows_it "
            "an_encoding_that_is_set_reads_the_query_again"
        )
    ),
    "body": tests(
        django__request="a_body_that_flows_is_read_to_its_end",
        django__body=(
            "any_cutting_reads_the_same any_cutting_has_the_same_lines "
            "a_piece_that_does_not_come_in_time_is_a_timeout_ever_after "
            "a_client_that_leaves_is_told_and_stays_away"
        ),
        django__handler=(
            "a_body_that_comes_too_slowly_is_408 "
            "a_client_that_is_gone_is_sent_nothing_and_no_error_is_logged"
        ),
        ported__served="http_with_and_without_views",
    ),
    "GET, POST, FILES, COOKIES, scheme": tests(
        django__request=(
            "a_request_says_what_djangos_says the_scheme_says_whether_it_is_secure "
            "a_cookie_of_odd_bytes_is_no_failure a_multipart_body_of_unknown_length_is_read"
        ),
        integration__web="a_form_is_read files_are_kept_in_memory_or_on_disk_by_their_size",
    ),
    "what cannot be decoded": tests(django__handler="a_request_that_cannot_be_decoded_is_400"),
    "AsgiHandler": tests(
        django__handler=(
            "the_root_path_is_the_prefix_of_links "
            "djangos_signals_are_sent_once_and_the_first_has_the_message middleware_is_loaded_once "
            "a_response_is_one_message"
        )
    ),
    "ResponseLater": tests(
        django__handler="a_view_that_answers_later_sends_nothing",
        channels1__api_rows="middleware_is_not_asked_about_what_concerns_the_client",
        project__more="a_view_that_lets_another_answer",
        ported__served="views_that_let_others_answer",
    ),
    "uncaught exceptions": tests(
        django__handler=(
            "a_broken_view_is_500_with_the_debug_page "
            "where_the_error_page_breaks_too_there_is_a_last_resort"
        ),
        channels1__any_exception="a_request_is_answered_500",
    ),
    "encode_response": tests(
        django__handler=(
            "a_long_response_is_several each_part_of_a_stream_is_a_message_and_the_last_is_empty "
            "an_empty_stream_has_status_and_headers a_long_part_of_a_stream_is_split "
            "header_names_keep_their_case_and_each_cookie_is_a_field "
            "a_file_is_read_in_pieces_and_closed encode_response_is_for_consumers_too"
        ),
        channels1__api_rows="the_size_of_pieces_is_the_handlers",
    ),
    "chunk_bytes": tests(
        django__handler="chunk_bytes_tells_which_is_the_last",
        channels1__api_rows="the_size_of_pieces_is_the_handlers",
    ),
    "ViewConsumer": tests(
        django__handler=(
            "the_consumer_sends_the_answer_at_once a_consumer_may_have_a_handler_of_its_own "
            "answers_that_nobody_wants_any_more_close_the_response"
        )
    ),
    "static files": tests(
        django__staticfiles=(
            "a_static_file_is_served another_path_is_the_views the_consumer_serves_files_too "
            "a_file_that_is_not_there_is_404_with_the_debug_page"
        )
    ),
    "HTTP consumers of one's own": tests(
        project__more="a_pong_for_a_ping an_encoded_response pieces",
        ported__served="http_with_and_without_views",
    ),
}
