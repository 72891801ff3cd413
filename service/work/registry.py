"""Which workers are there, what can each do, and when was it last heard of?"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.store.tables import Worker


def seen(
    session: Session,
    *,
    worker_id: str,
    queues: list[str],
    device: str,
    sandbox_level: str,
    kinds: dict[str, int],
    lamina_version: str,
    started_at: datetime,
    now: datetime,
) -> Worker:
    """Note that a worker is there and what it can do; the first time registers it. `kinds` maps names to versions."""
    return session.merge(
        Worker(
            id=worker_id,
            queues=queues,
            device=device,
            sandbox_level=sandbox_level,
            kinds=kinds,
            lamina_version=lamina_version,
            started_at=started_at,
            last_seen_at=now,
        )
    )
