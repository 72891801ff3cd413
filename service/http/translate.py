"""Which problem is an exception of the layers below? One table; what is not in it is a fault of ours (500)."""

import logging

from sqlalchemy.exc import OperationalError

from service.http.problems import Refusal, invalid
from service.store.blobs import TooLarge
from service.store.holdings import OverQuota
from service.work.refusals import Conflict, Invalid, OverOpenWork

OPEN_WORK_RETRY = {"Retry-After": "10"}
DATABASE_RETRY = {"Retry-After": "2"}
log = logging.getLogger("lamina.http")


def refusal_of(error: Exception) -> Refusal | None:
    """The refusal that an exception of the store or of work means to its asker; None for what should not happen."""
    match error:
        case Invalid():
            return invalid(error.faults)
        case Conflict():
            return Refusal("conflict", str(error))
        case OverQuota():
            return Refusal("storage-full", str(error))
        case OverOpenWork():
            return Refusal("too-much-open-work", str(error), headers=OPEN_WORK_RETRY)
        case TooLarge():
            return Refusal("too-large", str(error))
        case OperationalError():
            log.error("the database does not answer: %s", error.orig)
            return Refusal("unavailable", "The database does not answer, or is busy.", headers=DATABASE_RETRY)
        case _:
            return None
