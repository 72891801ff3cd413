"""A tenant with a model whose versions are audited, numbers to order, over HTTP and beneath it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from service.contracts.outcome import Measurement
from service.store.system import system_session
from service.store.tables import Analysis
from tests.service.http.asking import Asker
from tests.service.http.conftest import app, ask, blobs, make_asker, nobody, settings, stranger, world
from tests.service.work.world import World

__all__ = ["app", "ask", "blobs", "make_asker", "nobody", "settings", "stranger", "world"]


@dataclass
class Story:
    """Versions of a model called net, audited one after the other, an hour apart."""

    world: World
    dataset: UUID

    def audit(self, version: str, *points: Measurement) -> UUID:
        """An audit of a version (registered when it is first named) that measures these points."""
        with system_session(self.world.database) as session:
            from service.store.tables import Model

            found = session.scalar(select(Model.id).where(Model.tenant == self.world.tenant, Model.version == version))
        model = found or self._registered(version)
        audit = self.world.audit(model, self.dataset)
        with system_session(self.world.database) as session:
            analysis = session.scalars(select(Analysis.id).where(Analysis.audit_id == audit)).one()
        held = self.world.claim_subject(analysis)
        assert held is not None
        self.world.succeed(held, *points)
        self.world.clock.advance(timedelta(hours=1))
        return audit

    def _registered(self, version: str) -> UUID:
        model = self.world.model(version=version)
        self.world.inspect(model)
        return model

    def new_data(self) -> None:
        """Another dataset of the same name: other bytes."""
        self.dataset = self.world.dataset(version=f"at {self.world.clock.now():%H-%M}".replace(" ", "-"))
        self.world.inspect(self.dataset, content="other")


@pytest.fixture
def story(world: World) -> Story:
    """A world with a dataset, and no model yet."""
    dataset = world.dataset()
    world.inspect(dataset)
    return Story(world, dataset)


@pytest.fixture
def carol(make_asker: Callable[..., Asker], tenant: UUID) -> Asker:
    """Someone of the tenant who ran nothing."""
    return make_asker(tenant, "carol")
