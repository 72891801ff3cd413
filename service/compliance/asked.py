"""What is to be assessed, and which versions of the model are the same bytes?"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.compliance.library import Library, Measurable
from service.compliance.sources import LedgerFacts
from service.contracts.policies import PolicyContent
from service.store.tables import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be assessed: one version of a model, over a window, under a policy."""

    model: Model
    window_from: datetime
    as_of: datetime
    policy: PolicyContent
    library: Library
    measurable: Measurable
    ledger: LedgerFacts
    broken: frozenset[UUID]


def same_bytes(session: Session, model: Model) -> frozenset[UUID]:
    """The versions of a model whose canonical bytes are the same: evidence of one is evidence of all."""
    if model.canonical_digest is None:
        return frozenset({model.id})
    rows = select(Model.id).where(Model.name == model.name, Model.canonical_digest == model.canonical_digest)
    return frozenset(session.scalars(rows))
