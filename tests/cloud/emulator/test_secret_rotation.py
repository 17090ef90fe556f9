"""Rotation of secrets: the function's four steps, schedules and resource policies in templates."""

import json

import pytest
from botocore.exceptions import ClientError

ROTATES = """
import boto3
secrets = boto3.client("secretsmanager")
def handler(event, context):
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    labels = secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
    assert "AWSPENDING" in labels[token], labels
    if step == "createSecret":
        try:
            secrets.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except secrets.exceptions.ResourceNotFoundException:
            value = secrets.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]
            new = {"SecretString": value + "+", "VersionStages": ["AWSPENDING"]}
            secrets.put_secret_value(SecretId=secret, ClientRequestToken=token, **new)
    if step == "finishSecret":
        current = next(version for version, stages in labels.items() if "AWSCURRENT" in stages)
        secrets.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )
"""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    ],
}


def template(*, immediately=True, days=90):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    deny = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "secretsmanager:DeleteSecret",
                "Principal": {"AWS": "arn:aws:iam::000000000000:role/somebody"},
                "Resource": "*",
            }
        ],
    }
    return {
        "Resources": {
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "first"}},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": TRUST,
                    "Policies": [{"PolicyName": "all", "PolicyDocument": policy}],
                },
            },
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Timeout": 10,
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"ZipFile": ROTATES},
                },
            },
            "Schedule": {
                "Type": "AWS::SecretsManager::RotationSchedule",
                "Properties": {
                    "SecretId": {"Ref": "Secret"},
                    "RotationLambdaARN": {"Fn::GetAtt": ["Function", "Arn"]},
                    "RotationRules": {"AutomaticallyAfterDays": days},
                    "RotateImmediatelyOnUpdate": immediately,
                },
            },
            "Policy": {
                "Type": "AWS::SecretsManager::ResourcePolicy",
                "Properties": {"SecretId": {"Ref": "Secret"}, "ResourcePolicy": deny},
            },
        },
        "Outputs": {
            "Secret": {"Value": {"Ref": "Secret"}},
            "Function": {"Value": {"Fn::GetAtt": ["Function", "Arn"]}},
        },
    }


def value(running, secret, stage="AWSCURRENT"):
    return running.client("secretsmanager").get_secret_value(SecretId=secret, VersionStage=stage)[
        "SecretString"
    ]


def test_rotating_runs_the_four_steps(patched, eventually):
    secrets = patched.client("secretsmanager")
    outputs = patched.outputs(patched.deploy(template(immediately=False)))
    secret = outputs["Secret"]
    assert value(patched, secret) == "first"

    answer = secrets.rotate_secret(SecretId=secret)

    assert eventually(lambda: value(patched, secret) == "first+")
    assert value(patched, secret, "AWSPREVIOUS") == "first"
    assert secrets.get_secret_value(SecretId=secret)["VersionId"] == answer["VersionId"]


def test_a_schedule_is_described_and_rotates_at_once_unless_told_otherwise(patched, eventually):
    secrets = patched.client("secretsmanager")
    outputs = patched.outputs(patched.deploy(template(days=30)))
    secret = outputs["Secret"]

    described = secrets.describe_secret(SecretId=secret)

    assert described["RotationEnabled"]
    assert described["RotationLambdaARN"] == outputs["Function"]
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert eventually(lambda: value(patched, secret) == "first+")


def test_a_failed_step_leaves_the_current_value_and_the_next_try_goes_on(patched, eventually, tmp_path):
    secrets = patched.client("secretsmanager")
    secret = secrets.create_secret(Name="fails", SecretString="first")["ARN"]
    # By a file: a log line that crosses its pipe late is collected with the next invocation only.
    steps = tmp_path / "steps"
    broken = patched.function(
        "def handler(event, context):\n"
        f"    with open({str(steps)!r}, 'a') as steps:\n"
        "        steps.write(event['Step'] + '\\n')\n"
        "    raise ValueError\n"
    )
    arn = patched.client("lambda").get_function(FunctionName=broken)["Configuration"]["FunctionArn"]

    version = secrets.rotate_secret(SecretId=secret, RotationLambdaARN=arn)["VersionId"]

    eventually(lambda: steps.exists() and steps.read_text())
    patched.clock("?quiet_within=60")
    assert steps.read_text() == "createSecret\n"
    assert value(patched, secret) == "first"
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        value(patched, secret, "AWSPENDING")
    assert secrets.rotate_secret(SecretId=secret)["VersionId"] == version


def test_a_resource_policy_is_put_on_the_secret(patched):
    secrets = patched.client("secretsmanager")
    secret = patched.outputs(patched.deploy(template(immediately=False)))["Secret"]

    policy = json.loads(secrets.get_resource_policy(SecretId=secret)["ResourcePolicy"])

    assert policy["Statement"][0]["Action"] == "secretsmanager:DeleteSecret"


def test_deleting_the_stack_works(patched):
    stack = patched.deploy(template(immediately=False))

    patched.client("cloudformation").delete_stack(StackName=stack["StackName"])

    assert patched.settled(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"


def test_without_the_patch_the_types_are_unknown_and_nothing_rotates(unpatched):
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        unpatched.deploy(template())
    secrets = unpatched.client("secretsmanager")
    secret = secrets.create_secret(Name="copied", SecretString="first")["ARN"]
    function = unpatched.function(
        ROTATES, role=unpatched.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
    )
    arn = unpatched.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]

    version = secrets.rotate_secret(SecretId=secret, RotationLambdaARN=arn)["VersionId"]

    current = secrets.get_secret_value(SecretId=secret)
    assert (current["VersionId"], current["SecretString"]) == (version, "first")
