import traceback

import pytest
import urllib3

from sms_engagement_runtime.channel.adapters import custom_resource
from tests.support.raw_http_server import RawHttpServer, answer, drop


@pytest.fixture
def one_retry_at_once(monkeypatch):
    retries = urllib3.Retry(total=1, status_forcelist=(503,), allowed_methods={"PUT"})
    monkeypatch.setattr(custom_resource, "_POOL", urllib3.PoolManager(retries=retries))


@pytest.mark.usefixtures("one_retry_at_once")
@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        pytest.param(drop, "ProtocolError", id="connection dropped"),
        pytest.param(answer("503 Slow Down"), "ResponseError", id="503"),
    ],
)
def test_an_answer_that_is_never_taken_is_an_error_that_does_not_tell_the_url(behaviour, fault, caplog):
    with RawHttpServer(behaviour) as stack:
        request = {
            "ResponseURL": f"{stack.url}/answer?signature=hunter2",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Origination",
        }

        with pytest.raises(custom_resource.AnswerNotTakenError, match=fault) as caught:
            custom_resource.answer(request, physical_id="arn")

        assert len(stack.requests) == 2
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in caplog.text
