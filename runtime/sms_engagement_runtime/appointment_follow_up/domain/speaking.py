"""What is said about an appointment: in whose language, at whose hour, in which variant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Booking
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation, Recipient
from sms_engagement_runtime.appointment_follow_up.domain.purposes import CONSTRUCT, Purpose
from sms_engagement_runtime.appointment_follow_up.domain.texts import (
    AppointmentTexts,
    Facts,
    language_for,
    numbered,
)
from sms_engagement_runtime.appointment_follow_up.domain.times import spoken_time
from sms_engagement_runtime.channel.domain import variants
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.named_texts import PersonalText
from sms_engagement_runtime.channel.domain.ports import CampaignCounts


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text, and under which campaign it is counted.

    Attributes
    ----------
    campaign_id
        Of its variant; None where there is but one.
    """

    text: PersonalText
    campaign_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Composes texts.

    Attributes
    ----------
    default_locale, default_time_zone
        Where nobody knows those of the invitee: language tag, and IANA zone of the host.
    holdout_percents
        By purpose: the share of people who are not sent that text, so that its effect can be measured.
    counts, rules
        How the variants fare, and from which opt-out rate on another one is sent.
    """

    texts: AppointmentTexts
    counts: CampaignCounts
    default_locale: str = "en"
    default_time_zone: str = "UTC"
    holdout_percents: Mapping[Purpose, int] = field(default_factory=dict)
    rules: StopRules = field(default_factory=StopRules)

    def text(
        self, booking: Booking, recipient: Recipient, purpose: Purpose, *, is_confirmed: bool = False
    ) -> Spoken | None:
        """Compose a text; None for who is held out from it.

        Parameters
        ----------
        is_confirmed
            Whether the invitee has confirmed: a reminder then asks for no confirmation.
        """
        wording = purpose
        if purpose is Purpose.REMINDER and is_confirmed:
            wording = Purpose.REMINDER_CONFIRMED
        dealt = self._deal(recipient, purpose, wording)
        if dealt is None:
            return None
        variant, campaign_id = dealt
        facts = self._facts(booking, recipient, link=booking.reschedule_url)
        text = self.texts.render(wording, facts, locale=self.locale(booking, recipient), variant=variant)
        return Spoken(text, campaign_id)

    def answer(
        self, booking: Booking, recipient: Recipient, purpose: Purpose, *, choices: str | None = None
    ) -> PersonalText:
        """Compose the direct answer to something that the invitee wrote."""
        facts = self._facts(booking, recipient, link=booking.reschedule_url)
        return self.texts.render(purpose, facts, locale=self.locale(booking, recipient), choices=choices)

    def choices(self, bookings: Sequence[Booking], recipient: Recipient) -> str:
        """Give appointments numbers by their times."""
        return numbered([self.time(booking, recipient) for booking in bookings])

    def opt_out_reply(self, booking: Booking, recipient: Recipient) -> str:
        """Compose what confirms an opt-out by CANCEL: the appointment stands."""
        return self.answer(booking, recipient, Purpose.OPT_OUT).body

    def review_request(self, conversation: Conversation, booking: Booking) -> Mapping[str, object]:
        """Compose the detail of ``ReviewRequested``: whom to ask, about what, and in which words.

        The customer goes along, since an invitee is in no table of customers; it is the one event with
        personal data in it, and ReviewCollector is the one that it is for.
        """
        recipient = conversation.recipient
        assert recipient is not None
        facts = self._facts(booking, recipient)
        variant, _ = self._deal(recipient, Purpose.FEEDBACK, Purpose.FEEDBACK) or (0, None)
        template, locale = self.texts.feedback_template(
            facts, locale=self.locale(booking, recipient), variant=variant
        )
        customer = {
            "phoneNumber": recipient.number.e164,
            "name": booking.invitee_name,
            "locale": locale,
            "timeZone": booking.time_zone,
        }
        return {
            "userId": _user_id(booking, recipient),
            "occasion": f"appointment-{conversation.appointment_id}",
            "occurredAt": booking.ends_at.isoformat(),
            "customer": {name: value for name, value in customer.items() if value is not None},
            "text": template,
            "textLocale": locale,
        }

    def locale(self, booking: Booking, recipient: Recipient) -> str:
        """Choose the language: the invitee's own, else that of the number's country, else the default."""
        return booking.locale or language_for(recipient.country, self.default_locale)

    def time(self, booking: Booking, recipient: Recipient) -> str:
        """Spell when the appointment begins, in the invitee's zone and language."""
        return spoken_time(
            booking.starts_at,
            time_zone=booking.time_zone,
            locale=self.locale(booking, recipient),
            fallback_zone=self.default_time_zone,
        )

    def _facts(self, booking: Booking, recipient: Recipient, *, link: str | None = None) -> Facts:
        return Facts(
            event=booking.event_name,
            time=self.time(booking, recipient),
            name=booking.invitee_name,
            host=booking.host_name,
            link=link,
        )

    def _deal(
        self, recipient: Recipient, purpose: Purpose, wording: Purpose
    ) -> tuple[int, str | None] | None:
        """Give the variant of a wording that a person gets, and its campaign; None for who is held out."""
        count, holdout = self.texts.variants(wording), self.holdout_percents.get(purpose, 0)
        if count == 1 and not holdout:
            return 0, None
        assigned = variants.assign(
            recipient.subscriber_id, f"{CONSTRUCT}/{purpose}", variants=count, holdout_percent=holdout
        )
        if assigned is None:
            return None
        ids = [variants.campaign_id(CONSTRUCT, wording, variant) for variant in range(count)]
        if count == 1:
            return 0, ids[0]
        chosen = variants.choose(assigned, [self.counts.get(one) for one in ids], self.rules)
        return chosen, ids[chosen]


def _user_id(booking: Booking, recipient: Recipient) -> str:
    """Give the id of an invitee as a customer: one for each name on a phone, however often they come.

    It stands behind all usual ids in the order of ids, by which broadcasts choose among the customers of one
    phone: those of a shop come first.
    """
    name = " ".join((booking.invitee_name or "").casefold().split())
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"~invitee-{recipient.subscriber_id.removeprefix('v1:')}-{digest}"
