"""The check against the service model, next to botocore's own."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from sms_local.carrier.errors import ServiceError
from sms_local.carrier.operations import ACCOUNT_OPERATIONS
from sms_local.carrier.rates import TokenBucket
from sms_local.carrier.script import Script
from sms_local.carrier.service_model import service_model
from sms_local.carrier.validation import check_request, problems_of

OPERATIONS = sorted({*ACCOUNT_OPERATIONS, "SendTextMessage"})

START = datetime(2026, 11, 21, 17, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict]:
    operation = draw(st.sampled_from(OPERATIONS))
    members = sorted(service_model().operation_model(operation).input_shape.members)
    names = st.sampled_from(members) if members else st.nothing()
    return operation, draw(
        st.dictionaries(names | st.text(max_size=5), json_values.filter(lambda v: v is not None))
    )


@given(requests())
def test_whatever_botocore_refuses_is_refused(request_):
    operation, request = request_
    shape = service_model().operation_model(operation).input_shape

    by_botocore = ParamValidator().validate(request, shape)

    unknown = set(request) - set(shape.members)
    problems = list(problems_of(shape, request))
    # botocore passes over members that it does not know; the service would never see them.
    assert bool(problems) or not by_botocore.has_errors()
    assert {problem.field for problem in problems} >= unknown


@given(json_values)
def test_no_json_value_breaks_the_check(value):
    for operation in OPERATIONS:
        shape = service_model().operation_model(operation).input_shape
        for problem in problems_of(shape, value):
            assert problem.message


def test_all_problems_are_told_at_once_and_a_missing_member_is_the_reason():
    with pytest.raises(ServiceError) as caught:
        check_request("PutOptedOutNumber", {"OptedOutNumber": "abc", "Extra": 1})

    body = caught.value.body()
    assert body["Reason"] == "MISSING_PARAMETER"
    assert [field["Name"] for field in body["Fields"]] == ["OptOutListName", "OptedOutNumber", "Extra"]
    assert "abc" not in str(body)


@given(
    per_second=st.floats(0.5, 200),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 10)), max_size=60),
)
def test_a_bucket_never_exceeds_its_rate(per_second, steps):
    bucket = TokenBucket(per_second=per_second, updated=START)
    now, taken, largest = START, 0, 0

    for seconds, amount in steps:
        now += timedelta(seconds=seconds)
        if bucket.take(amount, now):
            taken += amount
            largest = max(largest, amount)

    elapsed = (now - START).total_seconds()
    # One second's worth at once, and the debt of one long text.
    assert taken <= per_second * elapsed + max(per_second, 1) + largest + 1e-6


@given(share=st.fractions(0, 1, max_denominator=50), calls=st.integers(0, 300))
def test_the_throttled_share_is_never_off_by_a_whole_call(share, calls):
    script = Script()
    script.set_throttled_share(share)

    throttled = sum(script.throttles("SendTextMessage") for _ in range(calls))

    assert throttled == int(share * calls)
