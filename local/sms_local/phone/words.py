"""Reason codes and outcomes in the words of a person who looks at the report."""

#: Reason code (`sms_engagement_runtime.channel.domain.reasons.Reason`) → why no text went out.
REASONS = {
    "NO_LONGER_TRUE": "the reason for the text had gone",
    "PAUSED": "all sending is paused",
    "OPTED_OUT": "answered STOP",
    "NO_CONSENT": "never agreed to such texts",
    "PENDING_CONFIRMATION": "has not confirmed the subscription yet",
    "COUNTRY_NOT_ALLOWED": "the number is in a country we don't text",
    "COUNTRY_UNKNOWN": "the number's country is unknown",
    "TOO_MANY_PARTS": "the text would take too many parts",
    "EMPTY_BODY": "the text would be empty",
    "NO_PHONE": "gave no phone number",
    "INVALID_PHONE": "the phone number is not valid",
    "LANDLINE": "the number is a landline",
    "INACTIVE": "is not an active customer",
    "DUPLICATE_PHONE": "shares the phone of another customer",
    "THROTTLED": "the carrier was busy for too long",
    "SENDING_DISABLED": "the account may not send at present",
    "CARRIER_REFUSED": "the carrier refused the text",
    "OUTCOME_UNKNOWN": "the carrier never said whether it took the text",
    "EXPIRED": "it came too late to be useful",
    "ALREADY_ASKED": "was asked about this before",
    "NO_OCCASION": "was asked about everything before",
    "NO_CUSTOMER": "is not in the customers table any more",
    "OUT_OF_TIME": "the run's time was over; the next run does it",
    "PART_FAILED": "this part of the run failed; the next run does it",
    "SERVICE_UNAVAILABLE": "a service of ours did not answer; the next run does it",
    "UNEXPECTED_ERROR": "failed in a way that nobody foresaw; the next run does it",
    "CONTACT_CHANGED": "the person's consent changed again and again meanwhile",
    "OPT_OUT_LIST_REFUSED": "the carrier keeps the number on its opt-out list",
}

#: Outcome without a reason (`channel.domain.sending.OutcomeState`, and a run's `REMAINING`) → what happened.
OUTCOMES = {
    "ACCEPTED": "the text is on its way",
    "SUPPRESSED": "no text was sent",
    "DEFERRED": "the text waits for a better hour",
    "ALREADY_SENT": "got this text before",
    "IN_FLIGHT": "another run is sending it right now",
    "UNCERTAIN": "the carrier never said whether it took the text",
    "FAILED": "the carrier refused the text",
    "WOULD_SEND": "would get the text",
    "REMAINING": "the run did not get to this person; the next one does",
}

#: Outcomes of people who got the text in this run, and of those about whom nobody knows.
GOT_IT = frozenset({"ACCEPTED", "WOULD_SEND"})
UNCERTAIN = frozenset({"UNCERTAIN", "IN_FLIGHT"})


def explain(state: str, reason: str | None) -> str:
    """Return why a person got the text or not; a code without words of its own is shown as it is."""
    if reason in REASONS:
        return REASONS[reason]
    known = OUTCOMES.get(state)
    if known is not None:
        return known if reason is None else f"{known} ({reason})"
    return reason or state
