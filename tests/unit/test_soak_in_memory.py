"""The soak in memory: whatever goes wrong, its books balance; and they do not where a rule is broken."""

from dataclasses import fields

import pytest

from benchmarks.soak_faults import Faults
from benchmarks.soak_in_memory import Simulation
from benchmarks.soak_people import people

PEOPLE = 120
KINDS = tuple(field.name for field in fields(Faults))


def simulate(seed: int, *, number: int = PEOPLE) -> tuple[Simulation, dict[str, tuple[str, ...]]]:
    simulation = Simulation(people(number, seed=seed), seed=seed)
    lines = simulation.run()
    return simulation, {line.name: line.findings for line in lines if not line.balances}


def everything(simulation: Simulation) -> tuple[object, ...]:
    books = simulation.books()
    return books.sent, books.rows, books.heard, books.stored, books.people, simulation.world.luck.done


@pytest.mark.parametrize("seed", range(3))
def test_the_books_balance_whatever_goes_wrong(seed):
    simulation, findings = simulate(seed)

    assert findings == {}
    assert len(simulation.channel.carrier.texts) > PEOPLE


def test_the_same_seed_is_the_same_run():
    one, _ = simulate(5, number=40)
    same, _ = simulate(5, number=40)
    other, _ = simulate(6, number=40)

    assert everything(one) == everything(same)
    assert everything(one) != everything(other)


def test_every_fault_happens():
    simulation, findings = simulate(7, number=400)

    assert findings == {}
    assert [kind for kind in KINDS if simulation.world.luck.done[kind] == 0] == []
