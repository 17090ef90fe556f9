"""Dashboards in CloudWatch: one a system, of its alarms, its figures and its functions."""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement.alarms import Alarms

HALF: Final = 12
_WHOLE: Final = 24
_HOUR: Final = Duration.hours(1)

RUNBOOK_CONTEXT: Final = "sms-engagement:runbookUrl"
"""Key of the context that says where your copy of the runbook is; the dashboards then link to it."""


class SystemDashboard(Construct):
    """A dashboard of one system; $3 a month from the fourth on in an account.

    Above are what the system is and its alarms as they stand, then the graphs that are added.

    Parameters
    ----------
    system
        As the runbook calls it.
    about
        What people should know of it in one line.
    alarms
        Shown as they stand.

    Attributes
    ----------
    dashboard
        The dashboard itself.
    """

    def __init__(
        self, scope: Construct, id: str, *, system: str, about: str, alarms: Sequence[Alarms]
    ) -> None:
        super().__init__(scope, id)
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.days(7))
        self._row: list[cloudwatch.IWidget] = []
        add_head(self.dashboard, scope, system=system, about=about, alarms=alarms)

    def graph(
        self,
        title: str,
        left: Sequence[cloudwatch.IMetric],
        *,
        right: Sequence[cloudwatch.IMetric] = (),
        percent: bool = False,
    ) -> None:
        """Add a graph, two of them in a row."""
        axis = cloudwatch.YAxisProps(min=0, max=100 if percent else None, label="%" if percent else None)
        widget = cloudwatch.GraphWidget(
            title=title, width=HALF, left=list(left), right=list(right), left_y_axis=axis
        )
        self._row.append(widget)
        if len(self._row) * HALF == _WHOLE:
            self.end()

    def end(self) -> None:
        """Add what is left of a row."""
        if self._row:
            self.dashboard.add_widgets(*self._row)
            self._row = []

    def add_api(self, api: apigateway.IHttpApi) -> None:
        """Add calls and times of an API."""
        self.graph(
            "Calls of the API, an hour",
            [
                api.metric_count(period=_HOUR, statistic="SampleCount", label="calls"),
                api.metric_client_error(period=_HOUR, statistic="Sum", label="refused (4xx)"),
                api.metric_server_error(period=_HOUR, statistic="Sum", label="failed (5xx)"),
            ],
        )
        self.graph(
            "Time of an answer, ms",
            [
                api.metric_latency(period=Duration.minutes(5), statistic=statistic, label=statistic)
                for statistic in ("p50", "p95", "Maximum")
            ],
        )

    def add_executions(self, title: str, machine: sfn.IStateMachine) -> None:
        """Add what became of the executions of a state machine, and how long they took."""
        self.graph(
            title,
            [
                machine.metric_started(period=_HOUR, statistic="Sum", label="started"),
                machine.metric_succeeded(period=_HOUR, statistic="Sum", label="succeeded"),
                machine.metric_failed(period=_HOUR, statistic="Sum", label="failed"),
                machine.metric_timed_out(period=_HOUR, statistic="Sum", label="timed out"),
            ],
            right=[machine.metric_time(period=_HOUR, statistic="Maximum", label="longest, ms")],
        )

    def add_machine(self, title: str, machine: sfn.IStateMachine, alarms: Alarms) -> None:
        """Add a row for a state machine that came later than the head: its executions, its alarms."""
        self.end()
        self.add_executions(title, machine)
        self._row.append(
            cloudwatch.AlarmStatusWidget(
                title=f"Alarms: {title}", alarms=list(alarms.by_name.values()), width=HALF, height=6
            )
        )
        self.end()

    def add_functions(self, functions: Mapping[str, lambda_.IFunction]) -> None:
        """Add errors and times of functions."""
        self.graph(
            "Failed calls of functions",
            [
                function.metric_errors(period=Duration.minutes(5), statistic="Sum", label=name)
                for name, function in functions.items()
            ],
        )
        self.graph(
            "Time of functions, p95, ms",
            [
                function.metric_duration(period=Duration.minutes(5), statistic="p95", label=name)
                for name, function in functions.items()
            ],
        )

    def add_queues(self, waiting: Mapping[str, sqs.IQueue], dead: Mapping[str, sqs.IQueue]) -> None:
        """Add how long messages wait, and what lies in dead-letter queues."""
        self.graph(
            "Queues: oldest message (s), and what failed for good",
            [
                queue.metric_approximate_age_of_oldest_message(statistic="Maximum", label=name)
                for name, queue in waiting.items()
            ],
            right=[
                queue.metric_approximate_number_of_messages_visible(statistic="Maximum", label=name)
                for name, queue in dead.items()
            ],
        )


def add_head(
    dashboard: cloudwatch.Dashboard,
    system_scope: Construct,
    *,
    system: str,
    about: str,
    alarms: Sequence[Alarms],
) -> None:
    """Add what a system is, the way to its runbook, and its alarms as they stand."""
    url = dashboard.node.try_get_context(RUNBOOK_CONTEXT)
    runbook = f"[runbook]({url}#{system})" if url else f"runbook (`docs/runbook.md`, *{system}*)"
    text = f"# {system_scope.node.path}\n{about} On alarm: its line in the {runbook}."
    dashboard.add_widgets(cloudwatch.TextWidget(markdown=text, width=_WHOLE, height=2))
    dashboard.add_widgets(
        cloudwatch.AlarmStatusWidget(
            title="Alarms",
            alarms=[alarm for each in alarms for alarm in each.by_name.values()],
            width=_WHOLE,
            height=4,
        )
    )
