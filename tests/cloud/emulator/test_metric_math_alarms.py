"""Alarms on metric math, from templates and by the API."""

import json
import uuid

import pytest

NAMESPACE = "SMS/Engagement"


def metrics(unit, expression="100 * failed / sent"):
    def statistic(name):
        metric = {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": [{"Name": "unit", "Value": unit}]}
        return {"Metric": metric, "Period": 300, "Stat": "Sum"}

    return [
        {"Id": "share", "Expression": expression, "Label": "share of failed texts"},
        {"Id": "failed", "MetricStat": statistic("Failed"), "ReturnData": False},
        {"Id": "sent", "MetricStat": statistic("Sent"), "ReturnData": False},
    ]


def template(unit, **more):
    properties = {
        "AlarmDescription": "Too many texts fail",
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 5,
        "EvaluationPeriods": 1,
        "Metrics": metrics(unit),
        "AlarmActions": [{"Ref": "Topic"}],
        **more,
    }
    return {
        "Resources": {
            "Topic": {"Type": "AWS::SNS::Topic"},
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties},
        },
        "Outputs": {"Name": {"Value": {"Ref": "Alarm"}}, "Topic": {"Value": {"Ref": "Topic"}}},
    }


def publish(running, unit, **values):
    data = [
        {"MetricName": name, "Value": value, "Dimensions": [{"Name": "unit", "Value": unit}]}
        for name, value in values.items()
    ]
    running.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)


def alarm(running, name):
    [found] = running.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found


@pytest.fixture
def unit():
    return uuid.uuid4().hex


def test_an_alarm_of_a_template_keeps_its_metrics_and_everything_else(patched, unit):
    stack = patched.deploy(template(unit))

    found = alarm(patched, patched.outputs(stack)["Name"])

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert [{"ReturnData": True, **each} for each in metrics(unit)] == found["Metrics"]
    assert found["AlarmDescription"] == "Too many texts fail"
    assert found["ActionsEnabled"]
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert "MetricName" not in found
    assert "Statistic" not in found


def test_it_goes_off_and_back_by_its_expression_and_says_so_on_its_topic(patched, unit, inbox):
    stack = patched.deploy(template(unit, OKActions=[{"Ref": "Topic"}]))
    outputs = patched.outputs(stack)
    receive = inbox(patched, outputs["Topic"])

    publish(patched, unit, Sent=100, Failed=5)
    assert alarm(patched, outputs["Name"])["StateValue"] == "OK"
    publish(patched, unit, Failed=1)
    assert alarm(patched, outputs["Name"])["StateValue"] == "ALARM"
    publish(patched, unit, Sent=100)
    assert alarm(patched, outputs["Name"])["StateValue"] == "OK"

    told = [json.loads(receive())["NewStateValue"] for _ in range(3)]
    assert told == ["OK", "ALARM", "OK"]


@pytest.mark.parametrize(
    ("treatment", "state"),
    [
        ("missing", "INSUFFICIENT_DATA"),
        ("notBreaching", "OK"),
        ("breaching", "ALARM"),
        ("ignore", "INSUFFICIENT_DATA"),
    ],
)
def test_missing_data_is_treated_as_the_alarm_says(patched, unit, eventually, treatment, state):
    stack = patched.deploy(template(unit, TreatMissingData=treatment))
    publish(patched, unit, Sent=100)

    found = alarm(patched, patched.outputs(stack)["Name"])

    assert found["StateValue"] == state


def test_fewer_breaches_than_wanted_do_not_set_it_off(patched, unit):
    stack = patched.deploy(
        template(unit, EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData="notBreaching")
    )
    publish(patched, unit, Sent=100, Failed=50)

    assert alarm(patched, patched.outputs(stack)["Name"])["StateValue"] == "OK"


def test_an_expression_out_of_reach_is_said_in_the_reason(patched, unit):
    stack = patched.deploy(template(unit, Metrics=metrics(unit, "ANOMALY_DETECTION_BAND(failed)")))
    publish(patched, unit, Sent=100, Failed=50)

    found = alarm(patched, patched.outputs(stack)["Name"])

    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert "ANOMALY_DETECTION_BAND" in found["StateReason"]


def test_an_alarm_made_by_the_api_is_evaluated_too(patched, unit):
    publish(patched, unit, Sent=100, Failed=50)

    patched.client("cloudwatch").put_metric_alarm(
        AlarmName=unit,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=5,
        EvaluationPeriods=1,
        Metrics=metrics(unit),
    )

    assert alarm(patched, unit)["StateValue"] == "ALARM"
    assert alarm(patched, unit)["Metrics"][0]["Expression"] == "100 * failed / sent"


def one_metric(unit, **more):
    dimensions = [{"Name": "unit", "Value": unit}]
    return {
        "AlarmName": unit,
        "Namespace": NAMESPACE,
        "MetricName": "Failed",
        "Dimensions": dimensions,
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }


def test_an_alarm_on_one_metric_counts_that_one_only(patched, unit):
    patched.client("cloudwatch").put_metric_alarm(**one_metric(unit))

    publish(patched, f"another {unit}", Failed=50)
    publish(patched, unit, Failed=5)
    before = alarm(patched, unit)["StateValue"]
    publish(patched, unit, Failed=1)

    assert before == "OK"
    assert alarm(patched, unit)["StateValue"] == "ALARM"


def test_an_alarm_goes_off_by_what_a_function_logs(patched, unit, eventually):
    directive = {"Namespace": NAMESPACE, "Dimensions": [["unit"]], "Metrics": [{"Name": "Failed"}]}
    line = {"_aws": {"CloudWatchMetrics": [directive]}, "unit": unit, "Failed": 6}
    function = patched.function(
        "import json, time\n"
        "def handler(event, context):\n"
        "    event['_aws']['Timestamp'] = int(time.time() * 1000)\n"
        "    print(json.dumps(event))\n"
    )
    patched.client("cloudwatch").put_metric_alarm(**one_metric(unit))

    patched.invoke(function, line)

    eventually(lambda: alarm(patched, unit)["StateValue"] == "ALARM")


def test_without_the_patch_an_alarm_on_one_metric_adds_up_all_dimensions(unpatched, unit):
    unpatched.client("cloudwatch").put_metric_alarm(**one_metric(unit))

    publish(unpatched, f"another {unit}", Failed=50)

    assert alarm(unpatched, unit)["StateValue"] == "ALARM"


def test_without_the_patch_the_stack_fails(unpatched, unit):
    stack = unpatched.deploy(template(unit))

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "metric math" in unpatched.reasons(stack["StackName"])
