"""An emulator with all patches, one with none, and a carrier that answers as a test tells it."""

import asyncio
import contextlib
import io
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sms_local import emulator
from sms_local.carrier.clock import CLOCK_PATH, EmulatorClock, TimeMachine
from sms_local.carrier.timeline import Due, VirtualTimeline
from sms_local.emulator.patches import PATCHES

PORTS = range(4600, 4640)
REGION = "us-east-1"
ACCOUNT = "000000000000"
DEADLINE_SECONDS = 90.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cloud)


def wait_until[Found](condition: Callable[[], Found], seconds: float = DEADLINE_SECONDS) -> Found:
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)
    return found


_handed_out: set[int] = set()


def free_port() -> int:
    for port in PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port in _handed_out:
                continue
            probe.bind(("127.0.0.1", port))
            _handed_out.add(port)
            return port
    pytest.fail(f"no port is free in {PORTS}")


@dataclass
class Answer:
    """What the carrier does with a call: answers, or drops the connection with or without a beginning."""

    body: Mapping[str, Any] | None = None
    status: int = 200
    drop: bool = False
    cut: bool = False
    hold: threading.Event | None = None


@dataclass
class FakeCarrier:
    """A carrier's service API over HTTP: keeps the calls, answers as it is told."""

    port: int
    calls: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def operations(self) -> list[str]:
        return [operation for operation, _, _ in self.calls]

    def requests(self, operation: str) -> list[dict[str, Any]]:
        return [body for called, body, _ in self.calls if called == operation]

    def clear(self) -> None:
        self.calls.clear()
        self.answers.clear()

    def answer(self, operation: str, request: Mapping[str, Any]) -> Answer:
        return self.answers.get(operation) or Answer(_default_answer(operation, request))


def _default_answer(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """As the service answers where everything is well; members that callers here read."""
    arn = f"arn:aws:sms-voice:{REGION}:{ACCOUNT}"
    number = {
        "PhoneNumberArn": f"{arn}:phone-number/phone-1",
        "PhoneNumberId": "phone-1",
        "PhoneNumber": "+12065550199",
    }
    match operation:
        case "CreateConfigurationSet":
            name = request["ConfigurationSetName"]
            return {"ConfigurationSetArn": f"{arn}:configuration-set/{name}", "ConfigurationSetName": name}
        case "DescribeConfigurationSets":
            name = request["ConfigurationSetNames"][0]
            return {"ConfigurationSets": [{"ConfigurationSetArn": f"{arn}:configuration-set/{name}"}]}
        case "CreateOptOutList":
            return {"OptOutListArn": f"{arn}:opt-out-list/{request['OptOutListName']}"}
        case "CreateProtectConfiguration":
            return {
                "ProtectConfigurationArn": f"{arn}:protect-configuration/protect-1",
                "ProtectConfigurationId": "protect-1",
            }
        case "DescribeProtectConfigurations":
            return {
                "ProtectConfigurations": [
                    {"ProtectConfigurationArn": f"{arn}:protect-configuration/protect-1"}
                ]
            }
        case "RequestPhoneNumber":
            return number
        case "DescribePhoneNumbers":
            return {"PhoneNumbers": [number]}
        case "CreatePool":
            return {"PoolArn": f"{arn}:pool/pool-1", "PoolId": "pool-1"}
        case "SendTextMessage":
            return {"MessageId": "message-1"}
    return {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    carrier: FakeCarrier

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        operation = self.headers["x-amz-target"].rpartition(".")[2]
        request = json.loads(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.carrier.calls.append((operation, request, headers))
        answer = self.carrier.answer(operation, request)
        if answer.hold is not None:
            answer.hold.wait(DEADLINE_SECONDS)
        self.close_connection = True
        if answer.drop:
            return
        content = json.dumps(answer.body or {}).encode()
        self.send_response(answer.status)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(content) + answer.cut))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serve_carrier() -> Iterator[FakeCarrier]:
    carrier = FakeCarrier(free_port())
    handler = type("Handler", (_Handler,), {"carrier": carrier})
    server = ThreadingHTTPServer(("127.0.0.1", carrier.port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield carrier
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Emulator:
    """One running emulator, and what tests do with it over and over."""

    port: int
    process: subprocess.Popen[str]
    state_dir: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, credentials: Mapping[str, str] | None = None, **config: Any) -> Any:
        options = {
            "retries": {"total_max_attempts": 1},
            "connect_timeout": 20,
            "read_timeout": 60,
            "inject_host_prefix": False,
        }
        keys = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=Config(**{**options, **config}),
        )

    def role(self, *statements: Mapping[str, Any]) -> str:
        """ARN of a new Lambda role that is allowed what the statements say."""
        name = f"role-{uuid.uuid4().hex[:8]}"
        iam = self.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                }
            ],
        }
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=json.dumps(document))
        return str(arn)

    def function(self, source: str, *, role: str | None = None, **configuration: Any) -> str:
        """Name of a new function made of one module with a ``handler``."""
        name = f"function-{uuid.uuid4().hex[:8]}"
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role or self.role(),
            Handler="index.handler",
            Code={"ZipFile": zipped({"index.py": source})},
            **{"Timeout": 15, **configuration},
        )
        return name

    def invoke(self, function: str, event: object = None) -> Any:
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event or {}).encode())
        return json.loads(answer["Payload"].read())

    def deploy(self, template: Mapping[str, Any], *, stack: str | None = None) -> dict[str, Any]:
        """Create a stack, or update the one named, and return its description once it is settled."""
        cloudformation = self.client("cloudformation")
        body = json.dumps(template)
        if stack is None:
            stack = f"stack-{uuid.uuid4().hex[:8]}"
            cloudformation.create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
        else:
            cloudformation.update_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
        return self.settled(stack)

    def settled(self, stack: str) -> dict[str, Any]:
        cloudformation = self.client("cloudformation")

        def description() -> dict[str, Any] | None:
            found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            return None if found["StackStatus"].endswith("IN_PROGRESS") else found

        return wait_until(description)

    def reasons(self, stack: str) -> str:
        """Why resources of a stack failed."""
        events = self.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in events)

    def outputs(self, stack: Mapping[str, Any]) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def state_machine(self, definition: Mapping[str, Any]) -> str:
        states = self.client("stepfunctions")
        name = f"machine-{uuid.uuid4().hex[:8]}"
        role = self.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
        made = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
        return str(made["stateMachineArn"])

    def finished(self, execution: str) -> dict[str, Any]:
        states = self.client("stepfunctions")

        def description() -> dict[str, Any] | None:
            found = states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return wait_until(description)

    def execution(self, definition: Mapping[str, Any], input_: object = None) -> str:
        """ARN of a new execution of a new state machine."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=self.state_machine(definition), input=json.dumps(input_ or {})
        )
        return str(started["executionArn"])

    def run(self, definition: Mapping[str, Any], input_: object = None) -> dict[str, Any]:
        return self.finished(self.execution(definition, input_))

    def described(self, execution: str) -> dict[str, Any]:
        return dict(self.client("stepfunctions").describe_execution(executionArn=execution))

    def clock(self, query: str = "", **body: object) -> dict[str, Any]:
        """What the clock answers; with a body it is moved."""
        content = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(f"{self.url}{CLOCK_PATH}{query}", content, timeout=120) as response:
            return dict(json.load(response))

    def now(self) -> datetime:
        return datetime.fromisoformat(self.clock()["now"])

    def begin_at(self, at: datetime) -> None:
        """Another story: the clock is put anywhere, and nothing falls due for it."""
        self.clock(at=at.isoformat(), back=True)

    def jump(self, duration: timedelta) -> list[Due]:
        """Let time pass, as the carrier does; what fell due, when all of it is done."""
        return asyncio.run(self._jump(duration))

    async def _jump(self, duration: timedelta) -> list[Due]:
        timeline = VirtualTimeline(self.state_dir / emulator.OFFSET_FILE)
        cloud = EmulatorClock(self.url, quiet_seconds=DEADLINE_SECONDS)
        try:
            return await TimeMachine(timeline, cloud).advance(duration)
        finally:
            await cloud.close()


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_ministack/health", timeout=20) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def running_emulator(
    state_dir: Path, carrier_url: str, *, caller: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Emulator]:
    """An emulator that is up; it is ended, the hard way if need be, on the way out."""
    port = free_port()
    command = emulator.command(port=port, carrier_url=carrier_url, state_dir=state_dir, **options)
    process = subprocess.Popen(
        command,
        env=emulator.environment() | dict(caller or {}),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    found = Emulator(port, process, state_dir)
    try:
        wait_until(lambda: answers(found.url) or process.poll() is not None)
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        yield found
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            raise
        finally:
            if process.stderr:
                process.stderr.close()
            _handed_out.discard(port)


@pytest.fixture(scope="session")
def fake_carrier() -> Iterator[FakeCarrier]:
    with serve_carrier() as carrier:
        yield carrier


@pytest.fixture
def carrier(fake_carrier: FakeCarrier) -> FakeCarrier:
    fake_carrier.clear()
    return fake_carrier


@pytest.fixture(scope="session")
def patched(tmp_path_factory: pytest.TempPathFactory, fake_carrier: FakeCarrier) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("patched"), fake_carrier.url) as running:
        yield running


@pytest.fixture(scope="session")
def timed_emulator(tmp_path_factory: pytest.TempPathFactory, fake_carrier: FakeCarrier) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("timed"), fake_carrier.url) as running:
        yield running


@pytest.fixture
def timed(timed_emulator: Emulator) -> Emulator:
    """An emulator with all patches whose clock a test may move; it begins at a Monday's noon."""
    timed_emulator.begin_at(datetime(2026, 11, 23, 12, tzinfo=UTC))
    return timed_emulator


@pytest.fixture(scope="session")
def unpatched(tmp_path_factory: pytest.TempPathFactory, fake_carrier: FakeCarrier) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("unpatched"), fake_carrier.url, without=PATCHES) as running:
        yield running


@pytest.fixture
def package() -> Callable[[Mapping[str, str]], bytes]:
    return zipped


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def inbox() -> Callable[[Emulator, str], Callable[[], str]]:
    """Subscribes a queue to a topic and returns how to take the next message from it, its text only."""

    def subscribe(running: Emulator, topic: str) -> Callable[[], str]:
        sqs = running.client("sqs")
        name = f"inbox-{uuid.uuid4().hex[:8]}"
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        running.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

        def receive() -> str:
            messages = wait_until(
                lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages")
            )
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=messages[0]["ReceiptHandle"])
            return str(json.loads(messages[0]["Body"])["Message"])

        return receive

    return subscribe


@pytest.fixture
def carrier_answer() -> type[Answer]:
    return Answer


@pytest.fixture
def start_with_carrier(tmp_path: Path) -> Callable[[str], contextlib.AbstractContextManager[Emulator]]:
    """Starts an emulator for one test, with a carrier of the test's choice."""
    return lambda url: running_emulator(tmp_path / "state", url)


@pytest.fixture
def start(
    fake_carrier: FakeCarrier, tmp_path: Path
) -> Callable[..., contextlib.AbstractContextManager[Emulator]]:
    """Starts an emulator for one test."""

    def start_one(**options: Any) -> contextlib.AbstractContextManager[Emulator]:
        return running_emulator(tmp_path / "state", fake_carrier.url, **options)

    return start_one
