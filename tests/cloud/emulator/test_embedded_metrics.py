"""Metrics that functions log: data points, dimensions, units, instants, and rates over them."""

import json
import uuid
from datetime import timedelta

import pytest

from sms_local.emulator.patches.embedded_metrics import metrics_of

LOGS = """
import json, time
def handler(event, context):
    print("a line of text")
    for line in event["lines"]:
        line.setdefault("_aws", {})["Timestamp"] = int((time.time() - event.get("age", 0)) * 1000)
        print(json.dumps(line))
"""


def line(namespace, **more):
    """As a function logs the counts of a batch: by campaign, and all together."""
    directive = {
        "Namespace": namespace,
        "Dimensions": [["campaign"], []],
        "Metrics": [{"Name": "Sent", "Unit": "Count"}, {"Name": "Latency", "Unit": "Milliseconds"}],
    }
    return {"_aws": {"CloudWatchMetrics": [directive]}, "campaign": "spring", "Sent": 1, **more}


class Metrics:
    """A function that logs metrics, and what CloudWatch says of them."""

    def __init__(self, running):
        self.running = running
        self.cloudwatch = running.client("cloudwatch")
        self.namespace = f"Test/{uuid.uuid4().hex[:8]}"
        self.function = running.function(LOGS)

    def log(self, *lines, age=0):
        lines = [line(self.namespace, **each) for each in lines]
        self.running.invoke(self.function, {"lines": lines, "age": age})

    def statistic(self, name, statistic="Sum", *, period=3600, **dimensions):
        named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        metric = {"Namespace": self.namespace, "MetricName": name, "Dimensions": named}
        return {"Metric": metric, "Period": period, "Stat": statistic}

    def query(self, *queries, scan="TimestampAscending"):
        """Results by id, of the last day of virtual time."""
        now = self.running.now()
        answer = self.cloudwatch.get_metric_data(
            MetricDataQueries=list(queries),
            StartTime=now - timedelta(days=1),
            EndTime=now + timedelta(seconds=1),
            **({"ScanBy": scan} if scan else {}),
        )
        return {result["Id"]: result for result in answer["MetricDataResults"]}

    def sum(self, name, **dimensions):
        query = {"Id": "found", "MetricStat": self.statistic(name, **dimensions)}
        return sum(self.query(query)["found"]["Values"])


@pytest.fixture
def metrics(timed):
    return Metrics(timed)


def test_each_set_of_dimensions_is_a_metric_of_its_own(metrics):
    metrics.log({"Sent": 3}, {"Sent": 4, "campaign": "autumn"})

    assert metrics.sum("Sent") == 7
    assert metrics.sum("Sent", campaign="spring") == 3
    assert metrics.sum("Sent", campaign="autumn") == 4
    assert metrics.sum("Sent", campaign="winter") == 0


def test_a_metric_may_have_several_values_and_has_its_unit(metrics):
    metrics.log({"Latency": [100, 200, 600]})

    (point,) = metrics.cloudwatch.get_metric_statistics(
        Namespace=metrics.namespace,
        MetricName="Latency",
        StartTime=metrics.running.now() - timedelta(hours=1),
        EndTime=metrics.running.now() + timedelta(seconds=1),
        Period=86400,
        Statistics=["SampleCount", "Average", "Maximum"],
    )["Datapoints"]

    assert (point["SampleCount"], point["Average"], point["Maximum"]) == (3, 300, 600)
    assert point["Unit"] == "Milliseconds"


def test_metrics_count_for_the_virtual_instant(metrics):
    metrics.log({"Sent": 1})
    metrics.running.jump(timedelta(hours=5))
    metrics.log({"Sent": 2})
    hours = {"Id": "hours", "MetricStat": metrics.statistic("Sent")}

    oldest_first = metrics.query(hours)["hours"]
    newest_first = metrics.query(hours, scan=None)["hours"]

    assert oldest_first["Values"] == [1, 2]
    assert oldest_first["Timestamps"][1] - oldest_first["Timestamps"][0] == timedelta(hours=5)
    assert newest_first["Values"] == [2, 1]


def test_metrics_are_kept_for_more_than_a_year(metrics):
    start = metrics.running.now()
    metrics.log({"Sent": 1})
    metrics.running.jump(timedelta(days=400))

    found = metrics.cloudwatch.get_metric_statistics(
        Namespace=metrics.namespace,
        MetricName="Sent",
        StartTime=start - timedelta(hours=1),
        EndTime=start + timedelta(hours=1),
        Period=3600,
        Statistics=["Sum"],
    )

    assert [point["Sum"] for point in found["Datapoints"]] == [1]


def test_what_is_stamped_with_another_instant_keeps_it(metrics):
    metrics.log({"Sent": 1}, age=40 * 86400)

    assert metrics.sum("Sent") == 0


def test_metrics_of_a_time_to_come_are_forgotten_when_the_clock_is_put_back(metrics):
    start = metrics.running.now()
    metrics.log({"Sent": 1})
    metrics.running.jump(timedelta(hours=5))
    metrics.log({"Sent": 2})

    metrics.running.begin_at(start + timedelta(hours=1))
    metrics.running.jump(timedelta(hours=10))

    assert metrics.sum("Sent") == 1


def test_a_dashboard_gets_shares_and_rates(metrics):
    metrics.log({"Sent": 8}, {"Sent": 2, "campaign": "autumn"})
    metrics.running.jump(timedelta(hours=1))
    metrics.log({"Sent": 4})

    results = metrics.query(
        {"Id": "share", "Expression": "100 * autumn / all_", "Label": "of autumn"},
        {"Id": "rate", "Expression": "RATE(all_)"},
        {"Id": "twice", "Expression": "share * 2"},
        {"Id": "all_", "MetricStat": metrics.statistic("Sent"), "ReturnData": False},
        {
            "Id": "autumn",
            "MetricStat": metrics.statistic("Sent", campaign="autumn"),
            "ReturnData": False,
        },
    )

    assert set(results) == {"share", "rate", "twice"}
    assert (results["share"]["Values"], results["share"]["Label"]) == ([20], "of autumn")
    assert results["share"]["StatusCode"] == "Complete"
    assert results["twice"]["Values"] == [40]
    assert results["rate"]["Values"] == [pytest.approx((4 - 10) / 3600)]


def test_a_search_finds_the_metrics_of_a_dimension(metrics):
    metrics.log({"Sent": 3}, {"Sent": 4, "campaign": "autumn"}, {"Latency": 100})
    find = f"SEARCH('{{{metrics.namespace},campaign}} MetricName=\"Sent\"', 'Sum', 3600)"

    now = metrics.running.now()
    results = metrics.cloudwatch.get_metric_data(
        MetricDataQueries=[
            {"Id": "found", "Expression": find},
            {"Id": "all", "Expression": f"SUM({find})"},
            {"Id": "labelled", "Expression": find, "Label": "of ${PROP('Dim.campaign')}"},
        ],
        StartTime=now - timedelta(hours=2),
        EndTime=now + timedelta(seconds=1),
    )["MetricDataResults"]

    assert [(each["Id"], each["Label"], each["Values"]) for each in results] == [
        ("found", "autumn", [4]),
        ("found", "spring", [4]),
        ("all", "all", [8]),
        ("labelled", "of autumn", [4]),
        ("labelled", "of spring", [4]),
    ]


def test_an_expression_that_is_not_known_says_so(metrics):
    (failed,) = metrics.query({"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1)"}).values()

    assert failed["StatusCode"] == "InternalError"
    assert "ANOMALY_DETECTION_BAND" in failed["Messages"][0]["Value"]


def test_lines_belong_to_their_own_invocation(metrics):
    for number in range(1, 11):
        metrics.log({"Sent": 1})
        assert metrics.sum("Sent") == number


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param('{"_aws": {}}', id="no directives"),
        pytest.param('{"_aws"', id="cut off"),
        pytest.param('[{"_aws": 1}]', id="no object"),
        pytest.param(json.dumps(line("N", Sent="3") | {"_aws": {"Timestamp": 0}}), id="no metrics"),
    ],
)
def test_a_line_that_is_not_as_specified_makes_no_metrics(broken):
    assert list(metrics_of(broken)) == []


@pytest.mark.parametrize("values", ["3", True, None, [1, "2"], list(range(101))])
def test_only_numbers_are_values(values):
    event = line("N", Sent=values)
    event["_aws"]["Timestamp"] = 1_000

    assert list(metrics_of(json.dumps(event))) == []


def test_without_the_patches_nothing_is_counted(unpatched):
    metrics = Metrics(unpatched)
    metrics.running.invoke(metrics.function, {"lines": [line(metrics.namespace)]})

    assert unpatched.client("cloudwatch").list_metrics(Namespace=metrics.namespace)["Metrics"] == []
