"""Is the log of this database whole? Every tenant is checked, or those named; straight in the tables, read only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.failure import Usage, needs

with needs("api", "this command"):
    from sqlalchemy import func, select

    from service.evidence.heads import SignedHead
    from service.evidence.ledger_check import check_tenant
    from service.evidence.log_check import Finding
    from service.store.blobs import BlobStore
    from service.store.database import Database
    from service.store.system import system_session
    from service.store.tables import Event, Tenant
    from service.store.tables_compliance import TreeHead


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLog:
    """What was found of one tenant, by name; `said`: how much was looked at, for people."""

    tenant: str
    findings: Sequence[Finding]
    said: str


def check_logs(
    database: Database,
    blobs: BlobStore,
    *,
    tenants: Sequence[str] = (),
    trusted: Mapping[str, bytes] | None = None,
    kept: Sequence[SignedHead] = (),
) -> list[CheckedLog]:
    """Check the tenants of these names, or all; `trusted` keys and `kept` heads are known from elsewhere.

    Raises `Usage` for a name that no tenant has, and for a head of a log that is not checked.
    """
    with system_session(database, writes=False) as session:
        known = {row.name: row.id for row in session.scalars(select(Tenant).order_by(Tenant.name))}
        unknown = sorted(set(tenants) - known.keys())
        if unknown:
            raise Usage(f"there is no tenant called {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
        chosen = sorted(set(tenants) or known)
        strange = {head.head.tenant for head in kept} - {str(known[name]) for name in chosen}
        if strange:
            raise Usage(f"a kept head is of the log of tenant {', '.join(sorted(strange))}, which is not checked here")
        found = []
        for name in chosen:
            events, sealed = session.execute(
                select(func.count(), func.count(Event.chain_number)).where(Event.tenant == known[name])
            ).one()
            signed = session.scalar(select(func.max(TreeHead.size)).where(TreeHead.tenant == known[name]))
            heads = [head for head in kept if head.head.tenant == str(known[name])]
            findings = check_tenant(session, blobs, known[name], trusted=trusted, kept=heads)
            under = "none under a signed head" if signed is None else f"{signed} under a signed head"
            said = f"{len(findings)} findings; {events} events, of them {sealed} sealed, {under}"
            found.append(CheckedLog(tenant=name, findings=findings, said=said))
    return found
