"""Saved queries of CloudWatch Logs Insights: what an operator asks first.

They find their folder by the path of the construct, as ``prod/Reviews/Reviews/Slow form answers``, and what
they read are the log groups of that construct alone. Saving costs nothing, a query $0.005 a gigabyte that it
reads (CloudWatch pricing). What the functions log has neither phone numbers nor message bodies, so no answer
of a query has.

Fields with an ``@`` are made by CloudWatch; the others are keys of the functions' JSON lines, found in them
by CloudWatch itself (CloudWatch Logs user guide, *Supported logs and discovered fields*).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import aws_logs as logs
from constructs import Construct

from sms_engagement.functions import RuntimeFunction

_ERRORS: Final = """\
fields @timestamp, level, message, error, reason, @log
| filter level = "ERROR" or level = "CRITICAL" or level = "WARNING"
| stats count(*) as lines, latest(@timestamp) as last by @log, level, message, error
| sort lines desc
| limit 100"""

_THROTTLES: Final = """\
fields @timestamp, @message, @log
| filter @message like /Throttl|TooManyRequests|ProvisionedThroughputExceeded|RequestLimitExceeded/
| stats count(*) as throttled by bin(5m), @log"""

_SLOW: Final = """\
filter @type = "REPORT"
| stats count(*) as calls, avg(@duration) as average_ms, pct(@duration, 95) as p95_ms,
    max(@duration) as longest_ms, max(@maxMemoryUsed / 1000000) as most_mb by @log
| sort p95_ms desc"""

_BROADCASTS: Final = """\
filter type in ["ExecutionStarted", "ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut"]
| filter execution_arn not like "/"
| stats (max(event_timestamp) - min(event_timestamp)) / 1000 as seconds, count(*) as marks by execution_arn
| filter marks = 2
| stats count(*) as broadcasts, avg(seconds) as average_s, max(seconds) as longest_s,
    pct(seconds, 95) as p95_s"""
"""Of the state machine's own log. A slash in an execution's ARN is a part of a Distributed Map."""


class SavedQueries(Construct):
    """The saved queries of one construct.

    Parameters
    ----------
    functions
        Whose logs are read. Each system has the three queries that concern all of them: errors, throttles,
        and slow calls by function.

    Attributes
    ----------
    by_title
        Every query.
    """

    def __init__(self, scope: Construct, id: str, *, functions: Sequence[RuntimeFunction]) -> None:
        super().__init__(scope, id)
        self.by_title: dict[str, logs.CfnQueryDefinition] = {}
        self._folder = scope.node.path
        groups = [function.log_group for function in functions]
        self.add("Errors by function", _ERRORS, groups)
        self.add("Throttles", _THROTTLES, groups)
        self.add("Slow calls by function", _SLOW, groups)

    def add(self, title: str, query: str, log_groups: Sequence[logs.ILogGroup]) -> None:
        """Save a query over some log groups."""
        name = "".join(word.capitalize() for word in title.split())
        self.by_title[title] = logs.CfnQueryDefinition(
            self,
            name,
            name=f"{self._folder}/{title}",
            query_string=query,
            log_group_names=[group.log_group_name for group in log_groups],
        )

    def add_all(self, queries: Mapping[str, str], function: RuntimeFunction) -> None:
        """Save queries over the log of one function."""
        for title, query in queries.items():
            self.add(title, query, [function.log_group])

    def add_broadcasts(self, state_machine_log: logs.ILogGroup) -> None:
        """Save the query for how long broadcasts take: average, longest and 95 in 100."""
        self.add("Broadcast duration", _BROADCASTS, [state_machine_log])


PARTS: Final = {
    "Parts of broadcasts": """\
filter message = "Part sent"
| fields @timestamp, run_id, rest, stoppedBy, reportKey
| sort @timestamp desc
| limit 200""",
}
"""Of the function that sends a part of a broadcast's audience."""
