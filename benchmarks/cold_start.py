"""Cold starts: each Lambda function in fresh processes, against a process that makes the same AWS clients.

``python benchmarks/cold_start.py [--runs 11]`` prints one line a function; ``--write`` puts them into
``docs/performance.md``. The review form, which a person
waits for, runs up to its first answer, the secret read over HTTP from a server of this process; it is
compared with ``import boto3; boto3.client("dynamodb")``. All other functions run up to where Lambda would
call them; they are compared with a process that imports boto3 and makes the clients that the function was
seen to make.

Both sides of a pair run in turn, the first of them changing from run to run; a ratio is that of the medians.
What counts is CPU time, as in the sequential baseline: machines are shared; wall time stands beside it.
Everything is compiled before. Third-party code is that of the virtual environment, which are the versions of
the layer; boto3 is that of the environment too, where Lambda brings its own.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from time import perf_counter
from typing import Final

if __package__ in {None, ""}:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sms_engagement_runtime.review_collector.domain.tokens import REFERENCE_LENGTH, mint
from tools.appointment_tables import table, write_block

ROOT: Final = Path(__file__).resolve().parents[1]
RUNTIME: Final = ROOT / "runtime"
PAGE: Final = ROOT / "docs" / "performance.md"
PACKAGE: Final = "sms_engagement_runtime"
FORM: Final = f"{PACKAGE}.review_collector.handlers.form"

FORM_GOAL: Final = 0.5
GOAL: Final = 1.25

_KEY: Final = "benchmark-key-that-signs-the-links"

# What a process says at its end: seconds since its first line, wall and CPU.
_TIMED: Final = """\
from time import perf_counter as _now, process_time as _cpu
_started, _cpu_started = _now(), _cpu()
{body}
_spent = _now() - _started, _cpu() - _cpu_started
import json
print(json.dumps(_spent))
"""

_CLIENTS: Final = """\
import boto3
from botocore.config import Config
_config = Config(
    retries={{"total_max_attempts": 4, "mode": "standard"}},
    connect_timeout=2, read_timeout=8, max_pool_connections=50,
)
for _service in {services}:
    boto3.client(_service, config=_config)
"""

_ONE_CLIENT: Final = 'import boto3\nboto3.client("dynamodb")\n'

_FIRST_ANSWER: Final = """\
from {form} import handler
_event = {{
    "version": "2.0",
    "routeKey": "GET /r/{{token}}",
    "rawPath": "/r/{token}",
    "pathParameters": {{"token": "{token}"}},
    "headers": {{"accept": "text/html", "accept-language": "en-US,en;q=0.9"}},
    "requestContext": {{"requestId": "benchmark", "http": {{"method": "GET"}}}},
}}
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()):
    _answer = handler(_event, None)
assert _answer["statusCode"] == 200, _answer["statusCode"]
"""

# Fills the settings that have no value yet by their types, and writes down which clients are made.
_PROBE: Final = """\
import json, os, sys
from dataclasses import MISSING, fields
from importlib import import_module
from typing import get_origin, get_type_hints

import botocore.session
from sms_engagement_runtime import settings

services, environment = [], {{}}
create_client, load = botocore.session.Session.create_client, settings.load
by_name = {{"opt_out_mode": "self", "default_country": "US"}}
by_type = {{str: "benchmark", int: "1", bool: "true"}}

def create_and_note(self, service_name, *arguments, **options):
    services.append(service_name)
    return create_client(self, service_name, *arguments, **options)

def fill_and_load(cls):
    hints = get_type_hints(cls)
    for field in fields(cls):
        has_default = field.default_factory is not MISSING or field.default not in (MISSING, "")
        if has_default or field.name.upper() in os.environ:
            continue
        kind = hints[field.name]
        zone = "America/New_York" if field.name.endswith("time_zone") else None
        value = zone or by_name.get(field.name) or by_type.get(get_origin(kind) or kind, "{{}}")
        os.environ[field.name.upper()] = environment[field.name.upper()] = value
    return load(cls)

botocore.session.Session.create_client, settings.load = create_and_note, fill_and_load
import_module("{module}")
print(json.dumps([services, environment]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison.

    Attributes
    ----------
    product, baseline
        Python source of the two processes.
    environment
        Of both.
    clients
        What the baseline makes.
    goal
        Highest ratio.
    """

    name: str
    product: str
    baseline: str
    environment: Mapping[str, str]
    clients: Sequence[str]
    goal: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What one process took, in seconds.

    Attributes
    ----------
    wall, cpu
        From its first line to its last, the start of the interpreter left out.
    whole
        From outside: interpreter and its end included.
    """

    wall: float
    cpu: float
    whole: float


def base_environment() -> dict[str, str]:
    """Return the environment of every process: that of a function, as far as it matters here."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(RUNTIME),
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # Powertools traces in Lambda only; with this it imports the X-Ray SDK here too.
        "LAMBDA_TASK_ROOT": "/var/task",
        "POWERTOOLS_SERVICE_NAME": "benchmark",
    }


def handler_modules() -> list[str]:
    """Name the modules that Lambda calls."""
    return sorted(
        ".".join(path.relative_to(RUNTIME).with_suffix("").parts)
        for path in (RUNTIME / PACKAGE).glob("*/handlers/*.py")
        if "\ndef handler(" in path.read_text(encoding="utf-8")
    )


def form_case(endpoint: str) -> Case:
    """Compare the form up to its first answer with one client."""
    token = mint(
        bytes(REFERENCE_LENGTH),
        expires_at=datetime.now(UTC) + timedelta(days=1),
        key_id=1,
        key=_KEY.encode(),
    )
    return Case(
        name="review_collector.form, first answer",
        product=_FIRST_ANSWER.format(form=FORM, token=token),
        baseline=_ONE_CLIENT,
        environment={"LINK_SECRET_ARN": "benchmark", "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint},
        clients=["dynamodb"],
        goal=FORM_GOAL,
    )


def handler_case(module: str) -> Case:
    """Compare the import of a handler with a process that makes the clients which the import makes."""
    probe = _run_python(_PROBE.format(module=module), {})
    services, environment = json.loads(probe)
    return Case(
        name=module.removeprefix(f"{PACKAGE}.").replace(".handlers", ""),
        product=f"import {module}\n",
        baseline=_CLIENTS.format(services=services),
        environment=environment,
        clients=services,
        goal=GOAL,
    )


def measure(cases: Sequence[Case], runs: int) -> Mapping[str, tuple[list[Spent], list[Spent]]]:
    """Run every pair so many times; one round before that is thrown away."""
    spent: dict[str, tuple[list[Spent], list[Spent]]] = {case.name: ([], []) for case in cases}
    for number in range(-1, runs):
        for case in cases:
            sides = [(0, case.product), (1, case.baseline)]
            for side, source in sides if number % 2 else sides[::-1]:
                result = _time(source, case.environment)
                if number >= 0:
                    spent[case.name][side].append(result)
    return spent


@contextmanager
def secrets_server() -> Iterator[str]:
    """Serve the link secret as Secrets Manager does, and give the address."""
    answer = json.dumps({"SecretString": json.dumps({"active": 1, "k1": _KEY})}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _time(source: str, environment: Mapping[str, str]) -> Spent:
    started = perf_counter()
    wall, cpu = json.loads(_run_python(_TIMED.format(body=source), environment))
    return Spent(wall, cpu, perf_counter() - started)


def _run_python(source: str, environment: Mapping[str, str]) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", source],
        env=base_environment() | dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise SystemExit(f"a measured process failed:\n{finished.stderr}")
    return finished.stdout.splitlines()[-1]


@dataclass(frozen=True, slots=True)
class Result:
    """Medians of a comparison.

    Attributes
    ----------
    product, baseline
        CPU time in milliseconds.
    ratio, wall, whole
        Of the two processes of a round, which run one after the other, so that a slow minute of the machine
        is in both: of CPU time, of wall time, and from outside.
    """

    case: Case
    product: float
    baseline: float
    ratio: float
    wall: float
    whole: float

    @property
    def is_reached(self) -> bool:
        """Whether the goal is, to the hundredth that is printed."""
        return round(self.ratio, 2) <= self.case.goal

    def clients(self) -> str:
        """Name the clients of both sides."""
        counts = {service: self.case.clients.count(service) for service in dict.fromkeys(self.case.clients)}
        return ", ".join(service if n == 1 else f"{n} {service}" for service, n in counts.items())


def result_of(case: Case, product: Sequence[Spent], baseline: Sequence[Spent]) -> Result:
    """Take the medians."""
    return Result(
        case,
        median(one.cpu for one in product) * 1000,
        median(one.cpu for one in baseline) * 1000,
        median(one.cpu / other.cpu for one, other in zip(product, baseline, strict=True)),
        median(one.wall / other.wall for one, other in zip(product, baseline, strict=True)),
        median(one.whole / other.whole for one, other in zip(product, baseline, strict=True)),
    )


def _line(result: Result) -> str:
    verdict = "reached" if result.is_reached else "NOT REACHED"
    return (
        f"{result.case.name:<42} {result.product:7.0f} {result.baseline:9.0f} {result.ratio:6.2f} "
        f"{result.case.goal:6.2f}  {verdict:<12} {result.wall:5.2f} {result.whole:5.2f}  {result.clients()}"
    )


def page(results: Sequence[Result]) -> str:
    """Write the table of the page."""
    rows = [
        [
            result.case.name.replace("_", " ").replace(".", ", "),
            f"{result.product:.0f}",
            f"{result.baseline:.0f}",
            f"{result.ratio:.2f}" if result.is_reached else f"**{result.ratio:.2f}**",
            f"{result.case.goal:.2f}",
            f"{result.wall:.2f}",
            result.clients(),
        ]
        for result in results
    ]
    heads = ["function", "product", "same clients alone", "ratio", "goal", "wall", "clients of both"]
    return f"{table(heads, rows)}\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description="Measure cold starts against processes with the same clients."
    )
    parser.add_argument("--runs", type=int, default=11, help="measured runs of each process (7 or more)")
    parser.add_argument("--only", default="", help="functions whose name holds this")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write is for all functions: leave --only out")
    compileall.compile_dir(RUNTIME, quiet=1)
    with secrets_server() as endpoint:
        others = [handler_case(module) for module in handler_modules() if module != FORM]
        cases = [case for case in (form_case(endpoint), *others) if arguments.only in case.name]
        spent = measure(cases, arguments.runs)
    results = [result_of(case, *spent[case.name]) for case in cases]
    if arguments.write:
        write_block("cold starts", page(results), PAGE)
    print(
        f"cold start, medians of {arguments.runs} runs: CPU time from the first line of the process on, ms;"
    )
    print("then the ratios of wall time, from the first line on and of the whole process")
    print(
        f"{'function':<42} {'product':>7} {'baseline':>9} {'ratio':>6} {'goal':>6}  {'':<12} "
        f"{'wall':>5} {'whole':>5}  clients of both"
    )
    for result in results:
        print(_line(result))


if __name__ == "__main__":
    main()
