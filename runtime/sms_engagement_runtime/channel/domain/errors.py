"""Errors of the domain, and what each says about whether a text may have gone out.

Adapters translate botocore's errors into these. The two families decide what a caller does: a
``TransientError`` propagates so that the platform delivers the record again, a ``PermanentError`` is recorded
and acknowledged.
"""

from sms_engagement_runtime.channel.domain.reasons import Reason


class EngagementError(Exception):
    """Base of every error that this system raises on purpose."""


class TransientError(EngagementError):
    """The same request may succeed later."""


class PermanentError(EngagementError):
    """The same request will never succeed."""


class InvalidPhoneNumberError(PermanentError):
    """What was given cannot be texted.

    Attributes
    ----------
    reason
        ``NO_PHONE``, ``INVALID_PHONE`` or ``LANDLINE``.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class CallRefusedError(TransientError):
    """A service of ours refuses the call, and will until a human mends rights or settings.

    Transient all the same: what waits for it can be done then.
    """


class ContactChangedError(TransientError):
    """The contact row was written by somebody else since it was read."""


class SendError(EngagementError):
    """Base of what the call to the carrier can end in, other than a message id.

    Attributes
    ----------
    reason
        The service's ``Reason`` member where it gave one, else the exception's code.
        Source: ``pinpoint-sms-voice-v2`` service model.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SendThrottledError(SendError, TransientError):
    """The answer proves that nothing was sent, and that the same text may be sent a little later."""


class SendRefusedError(SendError, PermanentError):
    """The answer proves that nothing was sent, and that this text will never be accepted."""


class SendingDisabledError(SendError, TransientError):
    """The answer proves that nothing was sent, and that no other text would be either.

    Spend limit reached, account disabled or of bad reputation, configuration errors: whoever sends many must
    stop.
    """


class OutcomeUnknownError(SendError, TransientError):
    """The call ended without an answer (500, time-out, broken connection).

    The text may have gone out. It is never sent again.
    """


class OptOutListRefusedError(PermanentError):
    """The service refuses to take the number off its opt-out list: that is possible once in 30 days.

    Source: AWS, *DeleteOptedOutNumber*.
    """
