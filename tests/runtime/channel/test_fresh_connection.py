import pytest

from sms_engagement_runtime.channel.adapters.fresh_connection import IDLE_LIMIT_SECONDS, FreshConnection


class Client:
    """Counts how often its connections were closed."""

    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


class Wall:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def connection(client, wall):
    return FreshConnection(client, clock=wall)


@pytest.mark.parametrize(
    ("pause", "closed"), [(0, 0), (IDLE_LIMIT_SECONDS, 0), (IDLE_LIMIT_SECONDS + 0.1, 1), (-0.1, 1)]
)
def test_connections_are_closed_after_a_pause_and_when_nobody_knows_how_long_it_was(
    connection, client, wall, pause, closed
):
    with connection.call():
        pass
    wall.now += pause

    with connection.call():
        assert client.closed == closed


def test_the_first_call_finds_nothing_to_close(connection, client):
    with connection.call():
        assert client.closed == 0


def test_the_pause_begins_with_the_end_of_a_call_that_failed(connection, client, wall):
    def time_out():
        with connection.call():
            wall.now += 8
            raise TimeoutError

    with pytest.raises(TimeoutError):
        time_out()

    with connection.call():
        assert client.closed == 0
    wall.now += IDLE_LIMIT_SECONDS + 1
    with connection.call():
        assert client.closed == 1


def test_connections_are_not_closed_under_a_call(connection, client, wall):
    with connection.call():
        pass
    with connection.call():
        with connection.call():
            pass
        wall.now += IDLE_LIMIT_SECONDS + 1
        with connection.call():
            assert client.closed == 0
