"""The numbers on the opt-out list of the service, read page by page at the rate that AWS allows."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingOptOutList
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reconcile import ListedNumber, ListPage

if TYPE_CHECKING:
    from mypy_boto3_pinpoint_sms_voice_v2 import PinpointSMSVoiceV2Client
    from mypy_boto3_pinpoint_sms_voice_v2.type_defs import OptedOutNumberInformationTypeDef

NUMBERS_OF_A_PAGE: Final = 100
"""Most that ``DescribeOptedOutNumbers`` gives (service model ``pinpoint-sms-voice-v2``, ``MaxResults``)."""

# AWS, *Quotas for End User Messaging SMS*: Describe* once a second, PutOptedOutNumber ten times. That of
# DeleteOptedOutNumber is not listed; ten is that of its twin. A little slower, since others call them too.
_READ_EVERY_SECONDS: Final = 1.05
_WRITE_EVERY_SECONDS: Final = 0.12


class Pace:
    """Waits so that calls begin no closer to one another than so many seconds."""

    def __init__(
        self,
        seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self._clock = clock
        self._due = 0.0

    def wait(self) -> None:
        """Wait until the next call may begin."""
        now = self._clock()
        if self._due > now:
            self._sleep(self._due - now)
        self._due = max(self._due, now) + self._seconds


class EndUserMessagingOptedOutNumbers:
    """The channel's opt-out list, as the daily comparison reads and writes it.

    Parameters
    ----------
    reading, writing
        Rates of the two kinds of calls.
    """

    def __init__(
        self,
        client: "PinpointSMSVoiceV2Client",
        *,
        list_name: str,
        reading: Pace | None = None,
        writing: Pace | None = None,
    ) -> None:
        self._client = client
        self._list_name = list_name
        self._list = EndUserMessagingOptOutList(client, list_name=list_name)
        self._reading = reading or Pace(_READ_EVERY_SECONDS)
        self._writing = writing or Pace(_WRITE_EVERY_SECONDS)

    def page(self, cursor: str | None) -> ListPage:
        """Read a page of the list.

        Raises
        ------
        TransientError
            The call failed; to be tried again.
        """
        self._reading.wait()
        more: Any = {} if cursor is None else {"NextToken": cursor}
        with service_call("sms-voice:DescribeOptedOutNumbers"):
            answer = self._client.describe_opted_out_numbers(
                OptOutListName=self._list_name, MaxResults=NUMBERS_OF_A_PAGE, **more
            )
        entries = answer.get("OptedOutNumbers", [])
        numbers = [number for entry in entries if (number := _listed(entry)) is not None]
        return ListPage(numbers, len(entries) - len(numbers), answer.get("NextToken"))

    def find(self, number: PhoneNumber) -> ListedNumber | None:
        """Look up one number.

        Raises
        ------
        TransientError
            The call failed; to be tried again.
        """
        self._reading.wait()
        with service_call("sms-voice:DescribeOptedOutNumbers"):
            try:
                answer = self._client.describe_opted_out_numbers(
                    OptOutListName=self._list_name, OptedOutNumbers=[number.e164]
                )
            except ClientError as error:
                # A list that is not there is a fault of the deployment, and no answer about a number.
                is_absent = error_code(error) == "ResourceNotFoundException"
                if is_absent and error.response.get("ResourceType") != "opt-out-list":
                    return None
                raise
        return next((_listed(entry) for entry in answer.get("OptedOutNumbers", [])), None)

    def put(self, number: PhoneNumber) -> None:
        """Put a number on the list; see :class:`EndUserMessagingOptOutList`."""
        self._writing.wait()
        self._list.put(number)

    def delete(self, number: PhoneNumber) -> None:
        """Take a number off the list; see :class:`EndUserMessagingOptOutList`."""
        self._writing.wait()
        self._list.delete(number)


def _listed(entry: "OptedOutNumberInformationTypeDef") -> ListedNumber | None:
    raw = entry["OptedOutNumber"]
    try:
        # E.164, with or without its plus sign (DescribeOptedOutNumbers, pattern of ``OptedOutNumber``).
        number = PhoneNumber(raw if raw.startswith("+") else f"+{raw}")
    except ValueError:
        return None
    return ListedNumber(number, entry["OptedOutTimestamp"], entry["EndUserOptedOut"])
