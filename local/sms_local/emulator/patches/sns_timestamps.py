"""Notifications carry milliseconds.

Reason
    The notification's time is the only time that an inbound text has. With whole seconds a START that follows
    its STOP within the second counts as sent at the same instant, and an opt-out wins a tie.
AWS
    ``Timestamp`` of a notification has milliseconds: ``2012-04-26T20:06:41.581Z``.
    https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html
MiniStack 1.5.33
    Writes whole seconds and ``.000Z``.
Hook
    The envelope takes the time from MiniStack's own ``now_iso``, which has milliseconds.
"""

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite


def apply(_: PatchSettings) -> None:
    """Write milliseconds."""
    from ministack.core import responses
    from ministack.services import sns

    require(holds=hasattr(responses, "now_iso"), what="responses.now_iso")
    sns._now_iso = responses.now_iso
    rewrite(sns, "_build_envelope", ('time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())', "_now_iso()"))
