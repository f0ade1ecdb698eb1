//! One suite, run on every back end: each case is a test of its own on each of them.

mod damage;
mod due;
mod grants;
mod ids;
mod journal;
mod locked;
mod players;
mod receipts;
mod registry;
mod versions;

macro_rules! on_every_back_end {
    ($($module:ident: $($case:ident),+;)+) => {
        on_every_back_end!(@on memory $($module: $($case),+;)+);
        on_every_back_end!(@on sqlite $($module: $($case),+;)+);
        on_every_back_end!(@on postgres $($module: $($case),+;)+);
        on_every_back_end!(@on pgbouncer $($module: $($case),+;)+);
    };
    (@on $back_end:ident $($module:ident: $($case:ident),+;)+) => {
        mod $back_end {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let fixture = crate::fixture::Fixture::$back_end().await;
                    crate::conformance::$module::$case(&fixture).await;
                    fixture.finish().await;
                })+
            })+
        }
    };
}

on_every_back_end! {
    players:
        nobody_is_no_error,
        what_is_created_is_loaded,
        an_update_counts_the_revision_up,
        a_stale_revision_conflicts,
        of_two_that_create_one_wins,
        one_conflict_leaves_the_others_and_stores_nothing_of_the_loser,
        settled_goals_are_left_alone_when_not_changed,
        settled_goals_can_be_removed,
        answers_come_in_the_order_asked,
        namespaces_are_apart,
        a_batch_of_a_thousand,
        batches_that_overlap_do_not_block_each_other_for_good,
        calls_that_make_no_sense_are_rejected;
    receipts:
        are_seen_by_later_loads,
        of_a_write_that_lost_are_not_stored,
        that_are_damaged_are_an_error_of_their_player,
        live_through_one_rotation_and_not_two,
        rotate_once_a_day;
    grants:
        are_created_under_the_lease,
        are_taken_over_when_the_lease_ends,
        are_taken_once_by_callers_that_race,
        are_given_back_to_be_tried_later,
        say_whether_an_attempt_left_doubt,
        end_with_their_result,
        are_listed_by_player_and_state,
        ordered_twice_are_rejected,
        of_the_loser_are_not_ended;
    journal:
        keeps_order_and_pages,
        pages_backwards,
        is_pruned_by_age;
    due:
        is_told_with_the_write,
        is_taken_once_and_comes_again,
        is_each_namespace_s_own;
    registry:
        numbers_stay,
        racing_callers_agree_on_numbers,
        a_catalogue_that_comes_back_is_a_new_version,
        racing_callers_agree_on_versions;
    versions:
        come_into_use_for_good_when_they_are_the_newest,
        are_found_by_their_text,
        and_replicas_are_told_to_all,
        and_replicas_that_meet_at_once_see_each_other;
    locked:
        keeping_stores_nothing,
        storing_writes_everything,
        sees_receipts_and_settled_goals,
        refuses_to_write_another_player,
        no_update_is_lost,
        creating_players_at_once_makes_one;
    damage:
        corrupt_bytes_name_their_place_and_hurt_nobody_else,
        a_newer_format_is_left_alone;
    ids:
        of_any_script_and_length_are_apart,
        with_a_zero_byte_do_no_harm;
}
