"""`Ref` of a secret in a template."""

TEMPLATE = {
    "Resources": {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"Description": "first", "SecretString": "quiet"},
        }
    },
    "Outputs": {"Ref": {"Value": {"Ref": "Secret"}}},
}


def described(text):
    properties = {"Description": text, "SecretString": "quiet"}
    return {
        **TEMPLATE,
        "Resources": {"Secret": {**TEMPLATE["Resources"]["Secret"], "Properties": properties}},
    }


def test_it_is_the_arn_and_stays_so_over_an_update(patched):
    stack = patched.deploy(TEMPLATE)
    reference = patched.outputs(stack)["Ref"]
    secrets = patched.client("secretsmanager")

    assert secrets.describe_secret(SecretId=reference)["ARN"] == reference

    stack = patched.deploy(described("second"), stack=stack["StackName"])

    assert patched.outputs(stack)["Ref"] == reference
    assert secrets.describe_secret(SecretId=reference)["Description"] == "second"
    assert secrets.get_secret_value(SecretId=reference)["SecretString"] == "quiet"


def test_without_the_patch_it_is_a_name(unpatched):
    stack = unpatched.deploy(TEMPLATE)

    assert not unpatched.outputs(stack)["Ref"].startswith("arn:")
