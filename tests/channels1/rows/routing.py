"""Section 6: routes, messages, channels, layers, names."""

from __future__ import annotations

from tests.channels1.rows.form import Section, tests

ROUTING: Section = {
    "names of the package": tests(
        channels1__api_rows="the_package_has_its_names_and_version_without_settings",
        ported__ported="every_name_of_channels_1_is_here",
    ),
    "route": tests(
        django__routing=(
            "a_message_goes_to_the_consumer_of_its_channel "
            "every_filter_must_match_the_start_of_its_field "
            "named_groups_become_keyword_arguments_also_unmatched_ones "
            "filters_and_fields_may_be_text_or_bytes fields_that_are_no_text "
            "a_group_without_a_name_is_refused a_filter_that_is_no_regular_expression_is_named "
            "a_consumer_may_be_a_dotted_path "
            "a_consumer_that_does_not_exist_is_named_with_its_channel "
            "what_the_import_raised_is_chained"
        ),
        project__more="positional_groups_are_refused",
    ),
    "route_class": tests(
        django__routing=(
            "a_class_names_its_channels a_class_that_names_none_is_refused "
            "a_class_may_be_a_dotted_path"
        )
    ),
    "include": tests(
        django__routing=(
            "an_include_cuts_off_what_it_matched the_message_stays_as_it_came includes_nest "
            "named_groups_of_an_include_are_merged_and_inner_ones_win "
            "a_routing_may_be_a_dotted_path_of_a_list_or_dict"
        ),
        project__plain="included_groups_are_merged_and_inner_ones_win",
        project__more="what_matched_is_cut_off_for_the_routes_alone",
    ),
    "order of routes": tests(
        django__routing=(
            "the_first_match_wins an_include_without_a_match_leaves_the_message_to_later_routes"
        )
    ),
    "routes of one's own": tests(
        django__routing="a_route_of_ones_own_kind_is_asked",
        project__plain="a_weekday_has_a_route_of_its_own_kind",
        ported__served="routes_of_all_kinds",
    ),
    "Router": tests(django__routing="a_route_can_be_added", project__more="the_router"),
    "check_default": tests(
        django__routing=(
            "by_default_http_goes_to_the_views the_consumer_of_http_can_be_given "
            "a_site_that_routes_websockets_accepts_those_that_it_does_not_connect "
            "a_site_without_websockets_denies_them the_default_routes_come_once"
        )
    ),
    "ROUTING": tests(
        django__routing=(
            "a_routing_may_be_a_dotted_path_of_a_list_or_dict what_is_no_routing_is_refused"
        ),
        django__asgi="a_routing_is_imported_when_it_is_needed",
        channels1__api_rows="a_layer_without_a_routing_has_no_routes_of_its_own",
        project__more="a_dict_of_routes",
    ),
    "how consumers are called": tests(
        channels1__api_rows="what_a_consumer_returns_is_ignored",
        django__routing="named_groups_become_keyword_arguments_also_unmatched_ones",
    ),
    "Message": tests(
        django__message=(
            "a_message_reads_like_its_content a_message_knows_its_channels "
            "a_reply_goes_to_the_layer_the_message_came_from a_copy_shares_nothing"
        ),
        django__dispatch="a_consumer_knows_its_last_chance",
        project__plain="what_was_sent_can_be_looked_at",
    ),
    "Channel": tests(
        django__channel=(
            "outside_a_consumer_a_message_goes_out_at_once "
            "inside_a_consumer_sends_go_out_together_in_order_when_it_ends "
            "immediately_does_not_wait_for_the_consumer bytes_names_are_decoded "
            "a_channel_that_no_layer_can_have_is_refused only_dicts_can_be_sent "
            "the_alias_names_the_layer a_layer_that_is_given_wins_over_the_alias"
        )
    ),
    "Group": tests(
        django__channel=(
            "channels_join_and_leave_groups_at_once_by_object_or_name only_dicts_can_be_sent "
            "a_group_that_no_layer_can_have_is_refused a_bad_name_cannot_join_a_group "
            "immediately_does_not_wait_for_the_consumer the_alias_names_the_layer"
        )
    ),
    "PendingMessageStore": tests(
        django__message=(
            "a_full_channel_costs_only_its_own_message each_layer_gets_one_batch "
            "a_consumer_holds_back_only_the_sends_of_its_own_thread"
        ),
        django__dispatch="sends_of_a_consumer_that_fails_go_out_too",
    ),
    "channel_layers": tests(
        django__asgi=(
            "a_layer_is_made_once_whoever_asks_first a_layer_can_be_exchanged "
            "aliases_are_known_whether_made_or_only_configured "
            "a_test_backend_has_the_test_config what_cannot_work_is_named_with_its_layer "
            "a_layer_without_a_backend_or_a_name_is_refused"
        ),
        project__plain="layers",
    ),
    "ChannelLayerWrapper": tests(
        django__asgi=(
            "calls_go_to_the_blocking_face the_router_is_made_once_and_can_be_replaced "
            "the_memory_layer_carries_what_a_channel_sends"
        ),
        django__bootstrap="the_default_layer_reaches_only_its_own_process",
        project__plain="layers",
    ),
    "get_channel_layer": tests(django__asgi="a_project_gets_the_layer_itself"),
    "name_that_thing": tests(
        django__utils=(
            "functions_and_classes_have_their_dotted_names "
            "methods_are_named_after_the_class_they_are_called_on "
            "an_instance_is_named_after_its_class what_wraps_a_function_is_named_after_it"
        ),
        project__more="texts_bytes_groups_and_the_end",
    ),
    "exceptions": tests(
        django__exceptions=(
            "denying_a_connection_closes_it only_a_connect_can_be_denied "
            "a_socket_exception_must_say_what_it_does"
        ),
        channels1__api_rows="there_is_no_exception_of_channels_2",
        ported__ported="every_name_of_channels_1_is_here",
        ported__served="doors",
    ),
    "WebsocketCloseException": tests(
        django__exceptions=(
            "a_socket_is_closed_with_the_code a_code_that_applications_must_not_send_is_refused "
            "without_a_reply_channel_there_is_nothing_to_deny_or_close"
        ),
        project__plain="thrown_out",
        ported__served="doors",
    ),
}
