"""A world with one tenant, for tests of work."""

from uuid import UUID

import pytest

from service.clock import FixedClock
from service.store.database import Database
from tests.service.work.world import World


@pytest.fixture
def world(database: Database, clock: FixedClock, tenant: UUID, principal: UUID) -> World:
    return World(database, clock, tenant, principal)
