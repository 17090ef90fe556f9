"""What a template says of buckets and streams can be read back."""

import uuid

import pytest
from botocore.exceptions import ClientError


def bucket(*rules):
    lifecycle = {"LifecycleConfiguration": {"Rules": list(rules)}} if rules else {}
    return {
        "Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": lifecycle}},
        "Outputs": {"Bucket": {"Value": {"Ref": "Bucket"}}},
    }


RULES = (
    {
        "Id": "colder",
        "Status": "Enabled",
        "Prefix": "events/",
        "Transitions": [
            {"StorageClass": "STANDARD_IA", "TransitionInDays": 30},
            {"StorageClass": "GLACIER", "TransitionInDays": 365},
        ],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
    },
    {
        "Id": "gone",
        "Status": "Disabled",
        "Prefix": "quarantine/",
        "TagFilters": [{"Key": "kind", "Value": "poison"}],
        "ExpirationInDays": 90,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
)


def test_lifecycle_rules_of_a_template_are_answered_and_go_with_it(patched):
    stack = patched.deploy(bucket(*RULES))
    name, s3 = patched.outputs(stack)["Bucket"], patched.client("s3")
    colder, gone = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]

    assert (colder["ID"], colder["Status"], colder["Filter"]) == ("colder", "Enabled", {"Prefix": "events/"})
    assert colder["Transitions"] == [
        {"Days": 30, "StorageClass": "STANDARD_IA"},
        {"Days": 365, "StorageClass": "GLACIER"},
    ]
    assert colder["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert (gone["Status"], gone["Expiration"]) == ("Disabled", {"Days": 90})
    assert gone["Filter"]["And"]["Prefix"] == "quarantine/"
    assert gone["Filter"]["And"]["Tags"] == [{"Key": "kind", "Value": "poison"}]
    assert gone["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}

    patched.deploy(bucket(), stack=stack["StackName"])

    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=name)


def stream(**properties):
    return {
        "Resources": {
            "Stream": {
                "Type": "AWS::Kinesis::Stream",
                "Properties": {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}, **properties},
            },
            "Consumer": {
                "Type": "AWS::Kinesis::StreamConsumer",
                "Properties": {
                    "StreamARN": {"Fn::GetAtt": ["Stream", "Arn"]},
                    "ConsumerName": f"consumer-{uuid.uuid4().hex[:8]}",
                },
            },
        },
        "Outputs": {
            "Stream": {"Value": {"Ref": "Stream"}},
            "Arn": {"Value": {"Fn::GetAtt": ["Stream", "Arn"]}},
            "Consumer": {"Value": {"Ref": "Consumer"}},
            "Status": {"Value": {"Fn::GetAtt": ["Consumer", "ConsumerStatus"]}},
        },
    }


def test_a_stream_of_a_template_keeps_its_properties(patched):
    encryption = {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    stack = patched.deploy(stream(RetentionPeriodHours=8760, StreamEncryption=encryption))
    outputs, kinesis = patched.outputs(stack), patched.client("kinesis")
    found = kinesis.describe_stream_summary(StreamName=outputs["Stream"])["StreamDescriptionSummary"]

    assert found["RetentionPeriodHours"] == 8760
    assert found["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert (found["EncryptionType"], found["KeyId"]) == ("KMS", "alias/aws/kinesis")
    assert (found["OpenShardCount"], found["ConsumerCount"]) == (4, 1)


def test_a_consumer_of_a_template_is_registered_and_goes_with_the_stack(patched):
    stack = patched.deploy(stream())
    outputs, kinesis = patched.outputs(stack), patched.client("kinesis")
    (consumer,) = kinesis.list_stream_consumers(StreamARN=outputs["Arn"])["Consumers"]

    assert consumer["ConsumerARN"] == outputs["Consumer"]
    assert outputs["Status"] == "ACTIVE"

    changed = stream()
    del changed["Resources"]["Consumer"], changed["Outputs"]["Consumer"], changed["Outputs"]["Status"]
    patched.deploy(changed, stack=stack["StackName"])

    assert kinesis.list_stream_consumers(StreamARN=outputs["Arn"])["Consumers"] == []


def test_an_on_demand_stream_begins_with_four_shards(patched):
    kinesis, name = patched.client("kinesis"), f"stream-{uuid.uuid4().hex[:8]}"

    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})

    assert len(kinesis.list_shards(StreamName=name)["Shards"]) == 4


def test_without_the_patches_lifecycle_rules_are_lost(unpatched):
    name = unpatched.outputs(unpatched.deploy(bucket(*RULES)))["Bucket"]

    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        unpatched.client("s3").get_bucket_lifecycle_configuration(Bucket=name)


def saved_log_query(text):
    properties = {"Name": "Errors", "LogGroupNames": ["group"], **({"QueryString": text} if text else {})}
    return {
        "Resources": {"Query": {"Type": "AWS::Logs::QueryDefinition", "Properties": properties}},
        "Outputs": {"Id": {"Value": {"Ref": "Query"}}},
    }


def test_a_saved_query_over_logs_deploys_and_keeps_its_id_when_its_text_changes(patched):
    stack = patched.deploy(saved_log_query("fields @message"))

    changed = patched.deploy(saved_log_query("fields @timestamp"), stack=stack["StackName"])

    assert patched.outputs(stack)["Id"] == patched.outputs(changed)["Id"] != ""


def test_a_saved_query_over_logs_without_a_text_does_not_deploy(patched):
    stack = patched.deploy(saved_log_query(None))

    assert stack["StackStatus"].endswith(("FAILED", "ROLLBACK_COMPLETE"))


def test_without_the_patches_a_saved_query_over_logs_does_not_deploy(unpatched):
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::Logs::QueryDefinition\]"):
        unpatched.deploy(saved_log_query("fields @message"))


def budget(limit=100, *thresholds, topic="arn:aws:sns:us-east-1:000000000000:alarms"):
    monthly = {
        "BudgetLimit": {"Amount": limit, "Unit": "USD"},
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
    }
    notifications = [
        {
            "Notification": {
                "NotificationType": "ACTUAL",
                "ComparisonOperator": "GREATER_THAN",
                "Threshold": threshold,
            },
            "Subscribers": [{"SubscriptionType": "SNS", "Address": topic}],
        }
        for threshold in thresholds
    ]
    properties = {"Budget": monthly, "NotificationsWithSubscribers": notifications}
    return {
        "Resources": {"Monthly": {"Type": "AWS::Budgets::Budget", "Properties": properties}},
        "Outputs": {"Name": {"Value": {"Ref": "Monthly"}}},
    }


def test_a_budget_of_a_template_can_be_read_and_goes_with_it(patched):
    budgets, account = patched.client("budgets"), {"AccountId": "000000000000"}
    stack = patched.deploy(budget(100, 80, 100))
    name = patched.outputs(stack)["Name"]

    def thresholds(name):
        found = budgets.describe_notifications_for_budget(BudgetName=name, **account)["Notifications"]
        return [notification["Threshold"] for notification in found]

    def limit(name):
        return budgets.describe_budget(BudgetName=name, **account)["Budget"]["BudgetLimit"]

    assert (limit(name), thresholds(name)) == ({"Amount": "100", "Unit": "USD"}, [80.0, 100.0])

    # Another limit changes it in place; other notifications make another budget.
    same = patched.outputs(patched.deploy(budget(250, 80, 100), stack=stack["StackName"]))["Name"]
    assert (same, limit(name)["Amount"], thresholds(name)) == (name, "250", [80.0, 100.0])
    other = patched.outputs(patched.deploy(budget(250, 90), stack=stack["StackName"]))["Name"]
    assert other != name
    assert (limit(other)["Amount"], thresholds(other)) == ("250", [90.0])
    with pytest.raises(ClientError, match="NotFoundException"):
        limit(name)

    cloudformation = patched.client("cloudformation")
    cloudformation.delete_stack(StackName=stack["StackName"])
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=stack["StackName"], WaiterConfig={"Delay": 1}
    )
    assert not budgets.describe_budgets(**account)["Budgets"]


def test_a_budget_that_the_api_would_refuse_fails_the_deployment(patched):
    stack = patched.deploy(budget(100, -1))

    assert stack["StackStatus"].endswith(("FAILED", "ROLLBACK_COMPLETE"))
    assert "Threshold must be a number between 0" in patched.reasons(stack["StackName"])


def test_without_the_patches_a_budget_does_not_deploy(unpatched):
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::Budgets::Budget\]"):
        unpatched.deploy(budget())
