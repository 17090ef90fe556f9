from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.consent import (
    ALL_SCOPES,
    PENDING_LASTS,
    ConsentState,
    Contact,
    Evidence,
    Scope,
    ask_to_confirm,
    confirm,
    erase,
    opt_out,
    resubscribe,
)
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

AT = datetime(2026, 11, 21, 17, tzinfo=UTC)
EVIDENCE = Evidence(source="inbound-message", words="Stop, please", message_id="inbound-1", at=AT)
NOBODY = Contact(subscriber_id="v1:a")


def _contact(**states: ConsentState) -> Contact:
    return Contact(subscriber_id="v1:a", version=3, consents={Scope(name): s for name, s in states.items()})


def test_an_opt_out_covers_every_scope_and_is_proven_for_each():
    change = opt_out(NOBODY, EVIDENCE)

    assert change is not None
    assert change.contact.consents == dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT)
    assert (change.contact.opted_out_by, change.contact.opted_out_at) == ("inbound-message", AT)
    assert change.contact.changed_by == "inbound-1"
    assert {record.scope for record in change.records} == set(ALL_SCOPES)
    assert {record.words for record in change.records} == {"Stop, please"}
    assert {record.state for record in change.records} == {ConsentState.OPTED_OUT}


def test_an_opt_out_of_one_scope_leaves_the_others():
    change = opt_out(_contact(marketing=ConsentState.ACTIVE), EVIDENCE, scopes=[Scope.REVIEWS])

    assert change is not None
    assert change.contact.consents == {
        Scope.MARKETING: ConsentState.ACTIVE,
        Scope.REVIEWS: ConsentState.OPTED_OUT,
    }
    assert [record.scope for record in change.records] == [Scope.REVIEWS]


@given(st.dictionaries(st.sampled_from(Scope), st.sampled_from(ConsentState)), st.sampled_from(Scope))
def test_a_scope_is_left_by_its_own_state_and_where_it_has_none_with_all_others(consents, scope):
    contact = Contact(subscriber_id="v1:a", consents=consents)
    others = [state for other, state in consents.items() if other is not scope]

    expected = (
        consents[scope] is ConsentState.OPTED_OUT
        if scope in consents
        else others != [] and all(state is ConsentState.OPTED_OUT for state in others)
    )

    assert contact.is_opted_out_of(scope) is expected


def test_coming_back_opens_a_scope_that_was_added_since():
    out = _contact(marketing=ConsentState.OPTED_OUT, reviews=ConsentState.OPTED_OUT)

    change = resubscribe(out, EVIDENCE)

    assert out.is_opted_out_of(Scope.APPOINTMENTS)
    assert change is not None
    assert not change.contact.is_opted_out_of(Scope.APPOINTMENTS)


def test_who_is_out_already_is_not_changed():
    out = opt_out(NOBODY, EVIDENCE)

    assert out is not None
    assert opt_out(out.contact, EVIDENCE) is None


def test_a_repeated_opt_out_moves_its_instant_and_is_not_the_one_that_is_confirmed():
    out = opt_out(NOBODY, EVIDENCE)
    assert out is not None
    later = replace(EVIDENCE, message_id="in-2", at=EVIDENCE.at + timedelta(seconds=9))

    again = opt_out(out.contact, later)

    assert again is not None
    assert again.contact == replace(out.contact, opted_out_at=later.at)
    assert again.records == ()
    assert opt_out(again.contact, EVIDENCE) is None


def test_a_refusal_of_the_carrier_does_not_overwrite_what_the_person_said():
    out = opt_out(NOBODY, EVIDENCE)
    assert out is not None

    assert opt_out(out.contact, replace(EVIDENCE, source="carrier", at=EVIDENCE.at + timedelta(1))) is None


def test_confirming_activates_what_is_pending_and_nothing_else():
    change = confirm(_contact(marketing=ConsentState.PENDING, reviews=ConsentState.ACTIVE), EVIDENCE)

    assert change is not None
    assert change.contact.consents[Scope.MARKETING] is ConsentState.ACTIVE
    assert [record.scope for record in change.records] == [Scope.MARKETING]


def test_confirming_is_no_way_out_of_an_opt_out():
    assert confirm(_contact(marketing=ConsentState.OPTED_OUT), EVIDENCE) is None
    assert confirm(_contact(marketing=ConsentState.OPTED_OUT, reviews=ConsentState.PENDING), EVIDENCE) is None
    assert confirm(NOBODY, EVIDENCE) is None


def test_a_text_that_asks_makes_marketing_pending_with_its_proof():
    change = ask_to_confirm(_contact(reviews=ConsentState.ACTIVE), EVIDENCE)

    assert change is not None
    assert change.contact.consents == {
        Scope.REVIEWS: ConsentState.ACTIVE,
        Scope.MARKETING: ConsentState.PENDING,
    }
    assert (change.contact.pending_since, change.contact.changed_by) == (AT, "inbound-1")
    assert [(record.scope, record.state) for record in change.records] == [
        (Scope.MARKETING, ConsentState.PENDING)
    ]


def test_asking_puts_nothing_in_question_that_was_said():
    assert ask_to_confirm(_contact(marketing=ConsentState.ACTIVE), EVIDENCE) is None
    assert ask_to_confirm(_contact(marketing=ConsentState.OPTED_OUT), EVIDENCE) is None
    assert ask_to_confirm(_contact(reviews=ConsentState.OPTED_OUT), EVIDENCE) is None


def test_asking_again_begins_the_time_anew_and_the_same_text_asks_once():
    first = ask_to_confirm(NOBODY, EVIDENCE)
    assert first is not None
    later = replace(EVIDENCE, message_id="another", at=AT + timedelta(days=1))

    again = ask_to_confirm(first.contact, later)

    assert ask_to_confirm(first.contact, replace(EVIDENCE, at=later.at)) is None
    assert again is not None
    assert again.contact.pending_since == later.at


def test_a_request_can_be_answered_for_thirty_days():
    asked = ask_to_confirm(NOBODY, EVIDENCE)
    assert asked is not None
    last = replace(EVIDENCE, message_id="in-2", at=AT + PENDING_LASTS - timedelta(seconds=1))

    change = confirm(asked.contact, last)

    assert timedelta(days=30) == PENDING_LASTS
    assert change is not None
    assert change.contact.consents[Scope.MARKETING] is ConsentState.ACTIVE
    assert change.contact.pending_since is None
    assert confirm(asked.contact, replace(last, at=AT + PENDING_LASTS)) is None


def test_resubscribing_ends_an_opt_out_and_remembers_when():
    out = opt_out(NOBODY, EVIDENCE)
    assert out is not None

    change = resubscribe(out.contact, EVIDENCE)

    assert change is not None
    assert set(change.contact.consents.values()) == {ConsentState.ACTIVE}
    assert (change.contact.opted_out_by, change.contact.resubscribed_at) == (None, AT)


def test_resubscribing_needs_an_opt_out():
    assert resubscribe(NOBODY, EVIDENCE) is None
    assert resubscribe(_contact(marketing=ConsentState.PENDING), EVIDENCE) is None


@given(
    st.dictionaries(st.sampled_from(Scope), st.sampled_from(ConsentState)),
    st.sampled_from([opt_out, confirm, resubscribe]),
)
def test_every_change_is_proven_scope_by_scope_and_idempotent(consents, transition):
    contact = Contact(subscriber_id="v1:a", version=1, consents=consents)

    change = transition(contact, EVIDENCE)

    if change is None:
        return
    moved = {s: state for s, state in change.contact.consents.items() if contact.consents.get(s) is not state}
    assert {record.scope: record.state for record in change.records} == moved
    assert change.contact.version == contact.version
    assert transition(change.contact, EVIDENCE) is None
    if transition is confirm:
        assert not contact.is_opted_out


@given(
    st.dictionaries(st.sampled_from(Scope), st.sampled_from(ConsentState)),
    st.sampled_from([opt_out, confirm, resubscribe, ask_to_confirm]),
)
def test_nothing_that_anybody_says_changes_a_tombstone(consents, transition):
    tombstone = erase(Contact(subscriber_id="v1:a", version=2, consents=consents), AT)

    assert transition(tombstone, EVIDENCE) is None


def test_a_tombstone_keeps_nothing_of_the_person_and_is_closed_for_readers_that_know_no_tombstones():
    said = opt_out(_contact(marketing=ConsentState.ACTIVE), EVIDENCE)
    assert said is not None
    contact = replace(said.contact, phone_number=PhoneNumber("+12065550123"), recent_texts={"key": AT})

    tombstone = erase(contact, AT)

    assert tombstone == Contact(
        subscriber_id="v1:a",
        version=3,
        consents=dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT),
        opted_out_by="erasure",
        erased_at=AT,
    )
    assert erase(tombstone, AT + timedelta(days=1)) == tombstone
