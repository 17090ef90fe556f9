"""The one line of a CDK log that tells why it failed."""

import pytest

from sms_local.deploy import cause

_PYTHON = """Traceback (most recent call last):
  File "/app/app.py", line 12, in <module>
    main()
ValueError: link_lifetime must be between 1 and 30 days, got 90; leave it out for 7
python3 app.py: Subprocess exited with error 1
"""
_RESOURCE = """local-Channel: deploying... [1/2]
local-Channel | 0/3 | 2:50:01 AM | CREATE_IN_PROGRESS   | AWS::CloudFormation::Stack | local-Channel
local-Channel | 1/3 | 2:50:01 AM | CREATE_FAILED        | AWS::SMSVOICE::OptOutList | OptOutList1234 cancelled
local-Channel | 1/3 | 2:50:01 AM | CREATE_FAILED | AWS::SMSVOICE::ConfigurationSet | Set5678 Unsupported type
❌  local-Channel failed: ToolkitError: The stack named local-Channel failed creation
"""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            _PYTHON,
            "ValueError: link_lifetime must be between 1 and 30 days, got 90; leave it out for 7",
        ),
        (_RESOURCE, "CREATE_FAILED AWS::SMSVOICE::ConfigurationSet Set5678 Unsupported type"),
        (
            "\x1b[31m❌ It failed: Error: no credentials\x1b[39m\n",
            "❌ It failed: Error: no credentials",
        ),
        (
            "python3 app.py: Subprocess exited with error 1\n",
            "python3 app.py: Subprocess exited with error 1",
        ),
        ("something else\nthe last line\n", "the last line"),
        ("", "it printed nothing"),
    ],
)
def test_the_cause_is_the_line_that_says_most(log: str, expected: str) -> None:
    assert cause(log) == expected
