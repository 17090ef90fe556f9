"""The numbers that tests of the embedded cloud make up for their customers."""

import pytest

from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.state_rules import STATE_RULES
from sms_local.people import PEOPLE
from tests.support.cloud_drive import AREA_CODES


@pytest.mark.parametrize("area_code", AREA_CODES)
def test_they_are_in_no_state_with_hours_of_its_own_and_no_demo_person_s(area_code: int) -> None:
    place = NumberPlaces().place_of(PhoneNumber(f"+1{area_code}5550100"), None, None)

    assert place.zones
    assert STATE_RULES.keys().isdisjoint(place.states)
    assert not any((person.phone or "").startswith(f"+1{area_code}") for person in PEOPLE)


def test_there_are_as_many_as_a_test_run_takes() -> None:
    assert len(set(AREA_CODES)) == len(AREA_CODES) >= 20
