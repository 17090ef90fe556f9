"""What an operator does with `prod`, from the first look to the way back, in an empty cloud.

The templates are those of AWS: domains, budget, alarms and termination protection included.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sms_local import aws, deploy
from sms_local.places import PROJECT_ROOT, Places
from sms_local.testing import Cloud, eventually, free_port_base, sms_local
from tests.support.cloud_drive import client, ledger_rows, new_phone

STACKS = ("Data", "Channel", "Reviews", "Appointments", "Analytics", "Journeys")
ACCOUNT = "000000000000"
_COMMAND_SECONDS = 300


@dataclass
class Operator:
    """Somebody with a checkout of their own, a shell, and an account that is the embedded cloud's.

    Attributes
    ----------
    folder
        Holds their ``cdk.json``.
    """

    folder: Path
    places: Places
    toolchain: deploy.Toolchain

    def configure(self, **prod: Any) -> None:
        """Edit fields of `prod` in `cdk.json`."""
        edited = json.loads((self.folder / "cdk.json").read_text())
        edited["context"]["environments"]["prod"] |= prod
        (self.folder / "cdk.json").write_text(json.dumps(edited))

    def cdk(self, *arguments: str) -> str:
        """Run the CDK CLI as the documentation says; return all that it prints."""
        known = f'eval "$({sys.executable} -m sms_local environment --port-base {self.places.port_base})"'
        path = f"{self.toolchain.node.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        finished = subprocess.run(
            ["bash", "-c", f'{known} && exec "$@"', "bash", *self.toolchain.command(*arguments)],
            # What leads to somebody's real account must not get in the way.
            env={
                "PATH": path,
                "HOME": str(self.folder),
                "AWS_PROFILE": "of-the-company",
                "AWS_ENDPOINT_URL_CLOUDFORMATION": "http://127.0.0.1:9",
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        assert finished.returncode == 0, finished.stdout[-3000:]
        return finished.stdout

    def diff(self, assembly: str) -> str:
        """Synthesize what is configured into a folder of this name, and tell how it differs."""
        return self.cdk("diff", "prod/*", "--context", "stage=prod", "--output", assembly)

    def deploy(self, assembly: str) -> None:
        """Deploy what was synthesized."""
        unattended = ("--require-approval", "never", "--outputs-file", "outputs.json")
        self.cdk("deploy", "prod/*", "--app", assembly, *unattended)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    base = free_port_base()
    # Functions of `prod` have no clock but the machine's; that of the cloud has to agree with it.
    now = datetime.now(UTC).isoformat()
    started = sms_local("up", "--empty", "--port-base", str(base), "--clock-start", now)
    assert started.returncode == 0, started.stderr
    assert "nothing is deployed" in started.stdout
    places = Places(port_base=base)
    (number,) = aws.Clients(places.aws_endpoint)("pinpoint-sms-voice-v2").describe_phone_numbers()[
        "PhoneNumbers"
    ]
    folder = tmp_path_factory.mktemp("checkout")
    ours = json.loads((PROJECT_ROOT / "cdk.json").read_text())
    # Account and number have to be edited before a first deployment; functions run on this machine here.
    text = json.dumps(ours["context"]).replace("111122223333", ACCOUNT)
    context = json.loads(text)
    context["environments"]["prod"] |= {
        "originationIdentity": number["PhoneNumberArn"],
        "architecture": "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64",
    }
    (folder / "cdk.json").write_text(
        json.dumps({"app": f"python3 {PROJECT_ROOT / 'app.py'}", "context": context})
    )
    try:
        yield Operator(folder, places, deploy.find_toolchain())
    finally:
        sms_local("down", "--port-base", str(base))


@dataclass
class Production:
    """`prod`, deployed for the first time."""

    operator: Operator
    cloud: Cloud
    difference: str


@pytest.fixture(scope="module")
def prod(operator: Operator) -> Iterator[Production]:
    difference = operator.diff("first")
    operator.deploy("first")
    running = Cloud(operator.places)
    yield Production(operator, running, difference)
    running.close()


def test_the_first_difference_is_all_that_will_be_made(prod: Production) -> None:
    assert "Number of stacks with differences: 6" in prod.difference
    for made in ("[+] AWS::Kinesis::Stream", "[+] AWS::Budgets::Budget", "[+] AWS::ApiGatewayV2::DomainName"):
        assert made in prod.difference
    assert "[-]" not in prod.difference
    assert "WARN" not in prod.difference.upper()
    # That somebody else's number were used is said before; here it is the operator's own.
    assert "placeholder" not in prod.difference


def test_what_aws_alone_has_is_made_too(prod: Production) -> None:
    cloudformation, apis = client(prod.cloud, "cloudformation"), client(prod.cloud, "apigatewayv2")
    for name in STACKS:
        (stack,) = cloudformation.describe_stacks(StackName=f"prod-{name}")["Stacks"]
        assert (stack["StackStatus"], stack["EnableTerminationProtection"]) == ("CREATE_COMPLETE", True)

    def routes(domain: str) -> set[str]:
        (mapping,) = apis.get_api_mappings(DomainName=domain)["Items"]
        return {route["RouteKey"] for route in apis.get_routes(ApiId=mapping["ApiId"])["Items"]}

    assert "POST /submit-review" in routes("r.example.com")
    assert "POST /webhooks/calendly" in routes("hooks.example.com")

    (budget,) = client(prod.cloud, "budgets").describe_budgets(AccountId=ACCOUNT)["Budgets"]
    assert budget["BudgetLimit"] == {"Amount": "1000", "Unit": "USD"}


def test_a_text_of_prod_goes_out_once_and_support_can_say_why(prod: Production) -> None:
    cloud, phone = prod.cloud, new_phone()

    cloud.book(phone=phone)
    cloud.booking_site.deliver(cloud.booking_site.told[-1])

    (text,) = eventually(lambda: cloud.texts(phone), what="the text about the appointment")
    assert "Coffee tasting" in text["body"]
    eventually(lambda: ledger_rows(cloud, phone)[0]["state"] == "DELIVERED", what="its delivery")
    assert len(cloud.texts(phone)) == len(ledger_rows(cloud, phone)) == 1
    said = subprocess.run(
        [
            Path(sys.executable).with_name("sms-engagement"),
            *("timeline", phone, "--outputs", str(prod.operator.folder / "outputs.json")),
            *("--endpoint-url", cloud.places.aws_endpoint),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "delivered" in said.stdout.lower()


def test_an_edit_is_shown_is_deployed_and_is_taken_back(prod: Production) -> None:
    operator = prod.operator
    tables = set(client(prod.cloud, "dynamodb").list_tables()["TableNames"])

    def limits() -> set[str]:
        functions = client(prod.cloud, "lambda")
        return {
            variables["BUDGET"]
            for page in functions.get_paginator("list_functions").paginate()
            for function in page["Functions"]
            if "BUDGET" in (variables := function.get("Environment", {}).get("Variables", {}))
        }

    assert "Number of stacks with differences: 0" in operator.cdk("diff", "prod/*", "--app", "first")
    (limit,) = limits()
    operator.configure(budget={"perDayUsd": "200", "perCampaignUsd": "50"})
    difference = operator.diff("edited")
    operator.deploy("edited")
    (raised,) = limits()
    operator.deploy("first")

    changed = [line for line in difference.splitlines() if line.startswith(("[+]", "[-]", "[~]"))]
    assert changed
    assert all(line.startswith("[~] AWS::Lambda::Function") for line in changed), changed
    assert not any(line.endswith("replace") for line in changed)
    assert raised != limit
    assert limits() == {limit}
    # Nothing that holds data was made anew.
    assert set(client(prod.cloud, "dynamodb").list_tables()["TableNames"]) == tables
