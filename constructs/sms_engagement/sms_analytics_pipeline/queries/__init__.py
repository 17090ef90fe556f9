"""Saved queries over the archive, in the SQL of Athena (engine version 3, which is Trino's).

Each of them reads raw and compacted objects alike and takes an event once, however often it lies there, so
that a retry, a replay or a compaction under way changes no result. ``events.sql`` and ``messages.sql`` are
what they begin with.

Which days they read stands in them twice, once for each table, as two numbers like ``20260301``: a condition
on a table itself leaves out partitions however a planner goes about it. They are saved with the last days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import COLUMNS

_FOLDER: Final = Path(__file__).parent

_DAYS: Final = 31
# Until tomorrow: an event's own time may be ahead of ours, and then it lies there.
_FIRST_DAY: Final = "CAST(date_format(current_date - INTERVAL '{days}' DAY, '%Y%m%d') AS integer)"
_LAST_DAY: Final = "CAST(date_format(current_date + INTERVAL '1' DAY, '%Y%m%d') AS integer)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A query that is saved in the workgroup.

    Attributes
    ----------
    id
        Of its construct, and of its file in lower case.
    name, description
        As people find it.
    days
        How far back it reads as it is saved.
    """

    id: str
    name: str
    description: str
    days: int = _DAYS

    def text(self, *, raw: str, compacted: str, first_day: str = "", last_day: str = "") -> str:
        """Return its SQL.

        Parameters
        ----------
        raw, compacted
            The two tables, as in ``"database"."table"``.
        first_day, last_day
            As ``20260301``, both included; the last days when left out.
        """
        events = Template(_read("events")).substitute(
            columns=_COLUMN_LIST,
            raw=raw,
            compacted=compacted,
            first_day=first_day or _FIRST_DAY.format(days=self.days),
            last_day=last_day or _LAST_DAY,
        )
        return Template(_read(self.id.lower())).substitute(events=events, messages=_read("messages"))


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").strip()


_COLUMN_LIST: Final = ", ".join(name for name, _ in COLUMNS if name != "event_id")

SAVED_QUERIES: Final[Sequence[SavedQuery]] = (
    SavedQuery(
        id="Delivery",
        name="Delivery by campaign and country",
        description="Texts that ended, delivered and failed, each once",
    ),
    SavedQuery(
        id="Responses",
        name="Response and opt-out rate by campaign",
        description="Answers and opt-outs per delivered text",
    ),
    SavedQuery(
        id="Cost",
        name="Cost by day, campaign and country",
        description="Without the carriers' fees; per delivered text and per answer",
    ),
    SavedQuery(
        id="Cohorts",
        name="Cohorts by week of the first text",
        description="Who answered and who opted out within 7 and 30 days of their first text",
        days=180,
    ),
    SavedQuery(
        id="Subscriber",
        name="A subscriber's year",
        description="One person's texts, answers and opt-outs, in order",
        days=366,
    ),
)
