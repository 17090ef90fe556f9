"""Reason codes, outcomes and events in the words of a person who looks at the page."""

import unicodedata

#: Reason code → why no text went out. Codes are the channel's (`Reason`), the broadcast engine's
#: (`RunReason`), the review collector's (`AskReason`), the appointments' (`BookingReason`) and the journeys'
#: (`JourneyReason`).
REASONS = {
    "NO_LONGER_TRUE": "the reason for the text had gone",
    "PAUSED": "all sending is paused",
    "QUIET_HOURS": "it is not the hour for texts there",
    "EXPIRES_IN_QUIET_HOURS": "the text would be too old in the next allowed hour",
    "TIME_ZONE_UNKNOWN": "nobody knows what time it is there",
    "FREQUENCY_CAP": "had as many texts lately as anybody gets",
    "DAY_BUDGET": "the day’s budget is spent",
    "CAMPAIGN_BUDGET": "the budget of this campaign is spent",
    "OPTED_OUT": "answered STOP",
    "ERASED": "was erased on request, and is never texted again",
    "SENT_BEFORE_ERASURE": "had this very text before being erased",
    "NO_CONSENT": "never agreed to such texts",
    "PENDING_CONFIRMATION": "subscription not confirmed yet",
    "COUNTRY_NOT_ALLOWED": "the number is in a country we don’t text",
    "COUNTRY_UNKNOWN": "the number’s country is unknown",
    "TOO_MANY_PARTS": "the text would take too many parts",
    "EMPTY_BODY": "the text would be empty",
    "NO_PHONE": "gave no phone number",
    "INVALID_PHONE": "the phone number is not valid",
    "LANDLINE": "the number is a landline",
    "INACTIVE": "not an active customer",
    "DUPLICATE_PHONE": "same phone as another customer",
    "WRONG_NUMBER": "said that it is the wrong number",
    "SLOT_MISSED": "the slot for the text had passed",
    "THROTTLED": "the carrier was busy for too long",
    "SENDING_DISABLED": "the account may not send at present",
    "CARRIER_REFUSED": "the carrier refused the text",
    "OUTCOME_UNKNOWN": "the carrier never said whether it took the text",
    "EXPIRED": "it came too late to be useful",
    "CONTACT_CHANGED": "consent changed again and again meanwhile",
    "OPT_OUT_LIST_REFUSED": "the carrier keeps the number on its opt-out list",
    "OUT_OF_TIME": "the time was over before it was their turn",
    "PART_FAILED": "this part of the run failed again and again, and nobody knows whom it texted",
    "SERVICE_UNAVAILABLE": "a service of ours did not answer",
    "UNEXPECTED_ERROR": "an error that nobody foresaw",
    "STOPPED_OPT_OUTS": "the run stopped itself, since too many people opted out",
    "STOPPED_FAILURES": "the run stopped itself, since too few texts arrived",
    "RUN_EXPIRED": "the run was over before the hour came",
    "ALREADY_ASKED": "asked about this before",
    "ALREADY_REMINDED": "reminded once, and nobody is reminded twice",
    "ANSWERED": "wrote the review",
    "COOLDOWN": "asked about something else not long ago",
    "NOT_DELIVERED": "the text before did not arrive",
    "NO_CUSTOMER": "not in the customers table any more",
    "NO_OCCASION": "asked about everything before",
    "NO_REMINDERS": "nobody is reminded: reminders are switched off",
    "NO_REQUEST": "not asked, so there is nothing to remind of",
    "OCCASION_EXPIRED": "the purchase is too long ago",
    "REMINDER_EXPIRED": "the request is too long ago to remind of it",
    "ASKED_SINCE": "asked about something newer since",
    "NOT_BEGUN": "what it is about has not happened yet",
    "REMINDER_NOT_DUE": "some days left to answer before a reminder",
    "START_IN_PAST": "it had begun when we heard of it",
    "ALREADY_CONFIRMED": "has confirmed already",
    "ALREADY_TEXTED": "got this text in another run",
    "COMPLETED": "is at the end of the journey",
    "DECLINED": "answered with a no",
    "EARLIER_STEP": "the text before has not gone out yet",
    "EXITED": "the journey ends here for them",
    "GOAL_REACHED": "has done what the journey is for",
    "NO_SUBSCRIBER": "not a subscriber any more",
    "NOT_DUE": "the wait since their own text is not over",
    "NOT_IN_AUDIENCE": "not whom the journey is for",
    "NOTHING_DUE": "no text of the journey is due for them",
    "PHONE_CHANGED": "the phone number is not the one of their subscription",
    "PREFERRED_TIME": "it is not the hour that they prefer",
    "STEP_MISSED": "the step before ended before their turn",
    "TEXT_FAILED": "the text could not be delivered",
}

#: Outcome without a reason (`channel.domain.outcome_state.OutcomeState`, and a run's `REMAINING`) → what
#: happened.
OUTCOMES = {
    "ACCEPTED": "the text is on its way",
    "SUPPRESSED": "no text was sent",
    "DEFERRED": "the text waits for a better hour",
    "ALREADY_SENT": "got this text before",
    "IN_FLIGHT": "another run is sending it right now",
    "UNCERTAIN": "the carrier never said whether it took the text",
    "FAILED": "the carrier refused the text",
    "WOULD_SEND": "would get the text",
    "REMAINING": "the run did not get to this person",
}

#: Last delivery event of a text that did not arrive → what came of it.
LOSSES = {
    "TEXT_INVALID": "the number is not valid",
    "TEXT_INVALID_MESSAGE": "the text is not valid",
    "TEXT_UNREACHABLE": "the phone cannot be reached",
    "TEXT_CARRIER_UNREACHABLE": "the carrier cannot be reached",
    "TEXT_BLOCKED": "the phone blocks texts",
    "TEXT_CARRIER_BLOCKED": "the carrier blocked it",
    "TEXT_SPAM": "the carrier took it for spam",
    "TEXT_UNKNOWN": "nobody knows what became of it",
    "TEXT_TTL_EXPIRED": "it was too old when it could be delivered",
    "TEXT_PROTECT_BLOCKED": "our own protection blocked it",
}


def explain(state: str, reason: str | None, *, town: str | None = None) -> str:
    """Return why a person got the text or not; a code without words of its own is shown as it is.

    Parameters
    ----------
    town
        Where the person is, where that is known and explains the reason.
    """
    if reason == "QUIET_HOURS" and town is not None:
        return f"it is not the hour for texts in {town}"
    if reason in REASONS:
        return REASONS[reason]
    # A row has the end of a delivery event's name (`channel.domain.failed_texts`).
    if f"TEXT_{reason}" in LOSSES:
        return LOSSES[f"TEXT_{reason}"]
    known = OUTCOMES.get(state)
    if known is not None:
        return known if reason is None else f"{known} ({reason})"
    return reason or state


def isolated(text: str) -> str:
    """Return a text so that it does not turn the sentence around it, where it is written right to left."""
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"
    return text


def counted(number: int, one: str, many: str) -> str:
    """Return a number and its noun: 1 text, 6 texts, 1,200 texts."""
    return f"{number:,} {one if number == 1 else many}"


def listed(names: list[str], *, most: int = 3) -> str:
    """Return names as a sentence has them: A, B and C; A, B and 4 more."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1:,} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
