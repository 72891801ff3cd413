"""Does work keep its promises under any order of events? A machine plays them out; life.py says what must hold."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from service.store.database import Database
from tests.service.work.life import Life


def live(database: Database, examples: int, steps: int) -> None:
    house = type("Life", (Life,), {"database": database})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis has no types here
        house,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )


@pytest.mark.slow
def test_work_keeps_its_promises_whatever_happens(database: Database) -> None:
    live(database, examples=12, steps=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_work_keeps_its_promises_for_a_long_time(database: Database) -> None:
    live(database, examples=400, steps=60)
