import pytest

from sms_engagement_runtime.channel.domain.person_names import first_name


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("John Doe", "John"),
        ("  John   Doe ", "John"),
        ("John", "John"),
        ("Doe, John", "John"),
        ("John Doe, MD", "John"),
        ("Doe,", "Doe"),
        ("Dr. John Doe", "John"),
        ("Mrs Mary-Jane Watson", "Mary-Jane"),
        ("Dr.", "Dr."),
        ("J.R. Ewing", "J.R."),
        ("O’Brien", "O’Brien"),
        ("Łukasz Nowak", "Łukasz"),
        ("李小龍", "李小龍"),
        ("محمد علي", "محمد"),
        ("😀 John", "John"),
        ("42 John", "John"),
        ("😀", None),
        ("", None),
        ("   ", None),
        (",", None),
        (None, None),
    ],
)
def test_what_a_person_is_called(name, called):
    assert first_name(name) == called
