"""What every contact and prompt repository promises: the fakes of the tests and the one on DynamoDB alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.domain.consent import (
    ConsentRecord,
    ConsentState,
    Contact,
    Evidence,
    Scope,
    Source,
    ask_to_confirm,
    confirm,
    erase,
    opt_out,
    replace_contact,
)
from sms_engagement_runtime.channel.domain.errors import ContactChangedError
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import FakeContacts

NOW = datetime(2026, 11, 21, 17, 0, 0, 123_000, tzinfo=UTC)
PERSON = "v1:person"
ORIGINATION = "+12065550100"
EVIDENCE = Evidence(source=Source.INBOUND_MESSAGE, words="Stop. Thank you", message_id="in-1", at=NOW)


@pytest.fixture(params=["fake", "dynamodb"])
def contacts(request):
    if request.param == "fake":
        yield FakeContacts()
        return
    with channel_tables() as client:
        yield DynamoContacts(client, table=CONTACTS)


def opted_out(contact):
    return replace_contact(opt_out(contact, EVIDENCE), phone_number=PhoneNumber("+12065550123"))


class TestContacts:
    def test_an_unknown_person_has_version_0_and_nothing_else(self, contacts):
        assert contacts.get(PERSON) == Contact(subscriber_id=PERSON)

    def test_a_contact_is_read_as_it_was_saved(self, contacts):
        change = opted_out(contacts.get(PERSON))

        saved = contacts.save(change.contact, expected_version=0, records=change.records)

        assert saved == replace(change.contact, version=1)
        assert contacts.get(PERSON) == saved

    def test_a_tombstone_is_read_as_it_was_saved(self, contacts):
        change = opted_out(contacts.get(PERSON))
        saved = contacts.save(change.contact, expected_version=0, records=change.records)

        contacts.save(erase(saved, NOW), expected_version=1, records=[])

        assert contacts.get(PERSON) == replace(erase(saved, NOW), version=2)

    def test_each_save_counts_the_version_up(self, contacts):
        first = contacts.save(Contact(subscriber_id=PERSON), expected_version=0, records=[])

        second = contacts.save(first, expected_version=1, records=[])

        assert (first.version, second.version, contacts.get(PERSON).version) == (1, 2, 2)

    def test_a_pending_scope_becomes_active(self, contacts):
        pending = Contact(subscriber_id=PERSON, consents={Scope.MARKETING: ConsentState.PENDING})
        stored = contacts.save(pending, expected_version=0, records=[])
        change = confirm(stored, EVIDENCE)

        contacts.save(change.contact, expected_version=1, records=change.records)

        assert contacts.get(PERSON).consents == {Scope.MARKETING: ConsentState.ACTIVE}

    def test_since_when_somebody_is_pending_is_kept_and_gone_once_they_confirm(self, contacts):
        asked = ask_to_confirm(contacts.get(PERSON), replace(EVIDENCE, message_id="key"))
        stored = contacts.save(asked.contact, expected_version=0, records=asked.records)

        assert contacts.get(PERSON) == stored
        assert stored.pending_since == NOW
        change = confirm(stored, EVIDENCE)
        contacts.save(change.contact, expected_version=1, records=change.records)
        assert contacts.get(PERSON).pending_since is None

    @pytest.mark.parametrize("expected_version", [0, 2])
    def test_a_contact_that_changed_meanwhile_is_not_overwritten(self, contacts, expected_version):
        stored = contacts.save(Contact(subscriber_id=PERSON), expected_version=0, records=[])
        change = opted_out(stored)

        with pytest.raises(ContactChangedError):
            contacts.save(change.contact, expected_version=expected_version, records=change.records)

        assert contacts.get(PERSON) == stored

    def test_a_row_that_is_not_there_has_no_later_version(self, contacts):
        with pytest.raises(ContactChangedError):
            contacts.save(Contact(subscriber_id=PERSON), expected_version=1, records=[])

        assert contacts.get(PERSON).version == 0

    def test_people_do_not_share_a_row(self, contacts):
        change = opted_out(contacts.get(PERSON))
        contacts.save(change.contact, expected_version=0, records=change.records)

        assert not contacts.get("v1:other").is_opted_out


class TestHandledInbound:
    def test_a_message_is_not_handled_until_it_is_marked(self, contacts):
        assert not contacts.was_handled("in-1")

        contacts.mark_handled("in-1", NOW)

        assert contacts.was_handled("in-1")
        assert not contacts.was_handled("in-2")

    def test_marking_twice_is_fine(self, contacts):
        contacts.mark_handled("in-1", NOW)
        contacts.mark_handled("in-1", NOW + timedelta(minutes=1))

        assert contacts.was_handled("in-1")


def prompt(**fields):
    return replace(
        Prompt(
            subscriber_id=PERSON,
            origination=ORIGINATION,
            construct="appointments",
            purpose="confirmation",
            occasion="a-1",
            message_id="m-1",
            asked_at=NOW,
            expires_at=NOW + timedelta(hours=1),
        ),
        **fields,
    )


class TestPrompts:
    def open_for(self, contacts, *, inbound_id="in-1", now=NOW, person=PERSON, origination=ORIGINATION):
        return list(contacts.open_prompts(person, origination, inbound_id=inbound_id, now=now))

    def test_no_question_was_asked(self, contacts):
        assert self.open_for(contacts) == []

    def test_an_open_question_is_found_as_it_was_asked(self, contacts):
        contacts.open(prompt())

        assert self.open_for(contacts) == [prompt()]

    def test_a_question_without_message_id_is_found_too(self, contacts):
        contacts.open(prompt(message_id=None))

        assert self.open_for(contacts) == [prompt(message_id=None)]

    def test_questions_of_several_constructs_are_open_side_by_side(self, contacts):
        contacts.open(prompt())
        contacts.open(prompt(construct="journeys", occasion="welcome"))
        contacts.open(prompt(occasion="a-2"))

        assert len(self.open_for(contacts)) == 3

    def test_the_same_question_twice_is_one(self, contacts):
        contacts.open(prompt())
        contacts.open(prompt(asked_at=NOW + timedelta(minutes=1)))

        assert self.open_for(contacts) == [prompt()]

    def test_a_question_belongs_to_its_person_and_number(self, contacts):
        contacts.open(prompt())

        assert self.open_for(contacts, person="v1:other") == []
        assert self.open_for(contacts, origination="+12065550101") == []
        # A number that begins alike is another number.
        assert self.open_for(contacts, origination=ORIGINATION[:-1]) == []

    def test_what_confirms_a_cancel_is_kept(self, contacts):
        contacts.open(prompt(opt_out_reply="Your appointment stands."))

        assert self.open_for(contacts) == [prompt(opt_out_reply="Your appointment stands.")]

    def test_that_nothing_is_asked_is_kept(self, contacts):
        contacts.open(prompt(asks=False))

        assert self.open_for(contacts) == [prompt(asks=False)]

    @pytest.mark.parametrize("written_to", [ORIGINATION, "+12065550101", None])
    def test_a_question_on_any_number_is_open_on_every_one(self, contacts, written_to):
        anywhere = prompt(origination=ANY_ORIGINATION)
        contacts.open(anywhere)
        contacts.open(prompt(origination="+12065550102", occasion="a-2"))

        found = self.open_for(contacts, origination=written_to)

        assert anywhere in found
        assert len(found) == (2 if written_to is None else 1)

    def test_questions_of_one_number_and_of_any_are_found_together(self, contacts):
        contacts.open(prompt(origination=ANY_ORIGINATION, occasion="a-2"))
        contacts.open(prompt())

        assert {question.occasion for question in self.open_for(contacts)} == {"a-1", "a-2"}

    def test_a_question_on_any_number_belongs_to_its_person_and_expires(self, contacts):
        contacts.open(prompt(origination=ANY_ORIGINATION))

        assert self.open_for(contacts, person="v1:other") == []
        assert self.open_for(contacts, now=NOW + timedelta(hours=1)) == []

    def test_a_question_on_any_number_is_answered_once_whichever_number_is_written_to(self, contacts):
        anywhere = prompt(origination=ANY_ORIGINATION)
        contacts.open(anywhere)

        contacts.close(anywhere, inbound_id="in-1")

        assert self.open_for(contacts, inbound_id="in-2", origination="+12065550101") == []
        again = self.open_for(contacts, inbound_id="in-1", origination="+12065550101")
        assert again == [replace(anywhere, answered_by="in-1")]

    def test_questions_on_all_numbers_are_found_where_none_is_named(self, contacts):
        contacts.open(prompt())
        contacts.open(prompt(origination="+12065550101"))
        contacts.open(prompt(subscriber_id="v1:other"))

        found = self.open_for(contacts, origination=None)

        assert {question.origination for question in found} == {ORIGINATION, "+12065550101"}
        assert {question.subscriber_id for question in found} == {PERSON}

    def test_a_question_expires_at_its_instant(self, contacts):
        contacts.open(prompt())

        assert self.open_for(contacts, now=NOW + timedelta(minutes=59, seconds=59)) == [prompt()]
        assert self.open_for(contacts, now=NOW + timedelta(hours=1)) == []

    def test_an_answered_question_is_open_only_to_the_message_that_answered_it(self, contacts):
        contacts.open(prompt())

        contacts.close(prompt(), inbound_id="in-1")

        assert self.open_for(contacts, inbound_id="in-1") == [prompt(answered_by="in-1")]
        assert self.open_for(contacts, inbound_id="in-2") == []

    def test_the_first_answer_stays(self, contacts):
        contacts.open(prompt())
        contacts.close(prompt(), inbound_id="in-1")

        contacts.close(prompt(), inbound_id="in-2")

        assert self.open_for(contacts, inbound_id="in-1") == [prompt(answered_by="in-1")]

    def test_an_answered_question_is_not_opened_again(self, contacts):
        contacts.open(prompt())
        contacts.close(prompt(), inbound_id="in-1")

        contacts.open(prompt())

        assert self.open_for(contacts, inbound_id="in-2") == []


class TestRowsInDynamoDB:
    @pytest.fixture
    def client(self):
        with channel_tables() as client:
            yield client

    @pytest.fixture
    def contacts(self, client):
        return DynamoContacts(client, table=CONTACTS)

    def rows(self, client, prefix):
        items = client.scan(TableName=CONTACTS)["Items"]
        return [item for item in items if item["record"]["S"].startswith(prefix)]

    def test_each_scope_that_changed_leaves_its_proof(self, client, contacts):
        change = opted_out(contacts.get(PERSON))

        contacts.save(change.contact, expected_version=0, records=change.records)

        proofs = self.rows(client, "consent#")
        assert {proof["scope"]["S"] for proof in proofs} == {scope.value for scope in Scope}
        assert {proof["words"]["S"] for proof in proofs} == {"Stop. Thank you"}
        assert {proof["at"]["N"] for proof in proofs} == {"1795280400123"}
        assert "expiresAt" not in proofs[0]
        assert "consent#2026-11-21T17:00:00.123+00:00#in-1#reviews" in {p["record"]["S"] for p in proofs}

    def test_a_refused_save_leaves_no_proof(self, client, contacts):
        contacts.save(Contact(subscriber_id=PERSON), expected_version=0, records=[])
        change = opted_out(Contact(subscriber_id=PERSON))

        with pytest.raises(ContactChangedError):
            contacts.save(change.contact, expected_version=0, records=change.records)

        assert self.rows(client, "consent#") == []

    def test_suppressions_never_expire(self, client, contacts):
        change = opted_out(contacts.get(PERSON))

        contacts.save(change.contact, expected_version=0, records=change.records)

        (row,) = self.rows(client, "contact")
        assert "expiresAt" not in row
        assert row["phoneNumber"] == {"S": "+12065550123"}
        assert row["schemaVersion"] == {"N": "1"}

    def test_marks_and_prompts_are_left_to_time_to_live(self, client, contacts):
        contacts.mark_handled("in-1", NOW)
        contacts.open(prompt())

        (mark,) = self.rows(client, "handled")
        (question,) = self.rows(client, "prompt#")
        assert int(mark["expiresAt"]["N"]) == int((NOW + timedelta(days=90)).timestamp())
        assert int(question["expiresAt"]["N"]) > prompt().expires_at.timestamp()

    def test_a_proof_without_words_is_kept_as_such(self, client, contacts):
        record = ConsentRecord(
            subscriber_id=PERSON,
            scope=Scope.REVIEWS,
            state=ConsentState.OPTED_OUT,
            source=Source.CARRIER,
            words="",
            message_id="key-1",
            at=NOW,
        )

        contacts.save(Contact(subscriber_id=PERSON), expected_version=0, records=[record])

        assert self.rows(client, "consent#")[0]["words"] == {"S": ""}
