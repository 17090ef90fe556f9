"""Opt-outs that come from elsewhere than an inbound text: from the service's list, from events, from files.

The contact row is changed, with its proof, and the bus is told as of any other opt-out (``OptedOut``), so
that conversations end. Nothing is answered: whoever took the opt-out has done that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sms_engagement_runtime.channel.domain.bus_events import OPTED_OUT, SCHEMA_VERSION
from sms_engagement_runtime.channel.domain.consent import Contact, Evidence, opt_out, replace_contact
from sms_engagement_runtime.channel.domain.errors import ContactChangedError
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import Clock, ContactRepository, EventBus, PromptRepository

_MAX_ATTEMPTS = 5


class Recorded(StrEnum):
    """What became of an opt-out."""

    OPTED_OUT = "OPTED_OUT"
    ALREADY_OPTED_OUT = "ALREADY_OPTED_OUT"
    OVERTAKEN = "OVERTAKEN"
    """The person came back after it."""
    ERASED = "ERASED"
    """The person was erased: the row stays as it is, and closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutRecorder:
    """Records opt-outs that nobody has to answer."""

    contacts: ContactRepository
    prompts: PromptRepository
    bus: EventBus
    clock: Clock

    def record(
        self,
        subscriber_id: str,
        number: PhoneNumber | None,
        evidence_for: Callable[[Contact], Evidence | None],
    ) -> Recorded:
        """Opt a person out of everything, as the contact is now, however often others write it meanwhile.

        Safe to repeat with the same evidence: the bus is told once more where it may not have been.

        Parameters
        ----------
        number
            Kept with the contact where it is known, for the comparison with the service's list.
        evidence_for
            Gives the proof for a contact as it stands, None where it says that the opt-out is overtaken.
            Asked again each time that somebody else wrote the contact.

        Raises
        ------
        TransientError
            Something did not answer, or others kept writing the contact.
        """
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            contact = self.contacts.get(subscriber_id)
            if contact.is_erased:
                return Recorded.ERASED
            evidence = evidence_for(contact)
            if evidence is None:
                return Recorded.OVERTAKEN
            change = opt_out(contact, evidence)
            if change is None:
                # Our own change, by a process that ended before it told the bus?
                if contact.changed_by == evidence.message_id:
                    self.tell(subscriber_id, evidence)
                return Recorded.ALREADY_OPTED_OUT
            change = replace_contact(change, phone_number=contact.phone_number or number)
            try:
                self.contacts.save(change.contact, expected_version=contact.version, records=change.records)
            except ContactChangedError:
                if attempt == _MAX_ATTEMPTS:
                    raise
                continue
            self.tell(subscriber_id, evidence)
            return Recorded.OPTED_OUT
        raise AssertionError("the last attempt returns or raises")

    def tell(self, subscriber_id: str, evidence: Evidence) -> None:
        """Tell the bus of an opt-out, unless that was done; the mark is kept for 90 days."""
        told = f"{evidence.message_id}#opted-out"
        if self.contacts.was_handled(told):
            return
        now = self.clock.now()
        open_prompts = self.prompts.open_prompts(subscriber_id, None, inbound_id=evidence.message_id, now=now)
        self.bus.publish(
            OPTED_OUT,
            {
                "inboundMessageId": evidence.message_id,
                "subscriberId": subscriber_id,
                "source": str(evidence.source),
                "body": None,
                "isCancel": False,
                "isWrongNumber": False,
                "conversations": [
                    {
                        "construct": prompt.construct,
                        "purpose": prompt.purpose,
                        "occasion": prompt.occasion,
                        "messageId": prompt.message_id,
                    }
                    for prompt in open_prompts
                ],
                "answeredPrompt": None,
                "receivedAt": round(evidence.at.timestamp() * 1000),
                "schemaVersion": SCHEMA_VERSION,
            },
        )
        self.contacts.mark_handled(told, now)
