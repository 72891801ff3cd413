"""How does the API say no? One catalogue of problem kinds, one exception, one shape on the wire."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import Response

from service.contracts.problem import TYPE_PREFIX, Fault, Problem

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """One way to fail. The slug is stable: clients branch on it, never on the text."""

    slug: str
    status: int
    title: str
    remedy: str | None = None
    permanent: bool = True


PROBLEMS = {
    kind.slug: kind
    for kind in (
        ProblemKind(
            slug="malformed",
            status=400,
            title="The request cannot be read",
            remedy="Send well-formed HTTP and JSON (RFC 8259, UTF-8, no NaN, no member twice).",
        ),
        ProblemKind(
            slug="unauthenticated",
            status=401,
            title="No valid key was given",
            remedy="Send Authorization: Bearer lam_<prefix>_<secret>, with a key that is neither expired nor revoked.",
        ),
        ProblemKind(
            slug="forbidden",
            status=403,
            title="The key may not do this",
            remedy="Use a key with the scope that the endpoint names.",
        ),
        ProblemKind(
            slug="not-found",
            status=404,
            title="There is no such thing",
            remedy="Check the id; what belongs to another tenant does not exist here.",
        ),
        ProblemKind(
            slug="method-not-allowed",
            status=405,
            title="This method is not served here",
            remedy="Use one of the methods in the Allow header.",
        ),
        ProblemKind(
            slug="not-acceptable",
            status=406,
            title="No representation suits the Accept header",
            remedy="Accept text/html or application/json, or ask with ?format=html or ?format=json.",
        ),
        ProblemKind(
            slug="conflict",
            status=409,
            title="It collides with something that exists",
            remedy="Choose another name or version, or read the one that exists.",
        ),
        ProblemKind(
            slug="report-not-ready",
            status=409,
            title="The report is not drawn yet",
            remedy="Ask again after the seconds in Retry-After.",
            permanent=False,
        ),
        ProblemKind(
            slug="gone",
            status=410,
            title="It was given up under retention",
            remedy="Use your own copy; its digest, in the detail and in the log, tells whether that is the one.",
        ),
        ProblemKind(
            slug="too-large",
            status=413,
            title="The body is over the limit",
            remedy="Send fewer bytes; JSON bodies and blobs have their own limits, stated in the detail.",
        ),
        ProblemKind(
            slug="storage-full",
            status=413,
            title="The tenant's storage is used up",
            remedy="Ask the operator for a higher LAMINA_TENANT_BYTES, or to delete what is no longer needed.",
            permanent=False,
        ),
        ProblemKind(
            slug="unsupported-media-type",
            status=415,
            title="The Content-Type is not served here",
            remedy="Send the Content-Type that the endpoint names.",
        ),
        ProblemKind(
            slug="invalid",
            status=422,
            title="The request does not say something that can be done",
            remedy="Mend every fault listed in errors; each has a JSON Pointer to its place.",
        ),
        ProblemKind(
            slug="digest-mismatch",
            status=422,
            title="The bytes are not those that were announced",
            remedy="Send them again; if it stays, recompute Repr-Digest over the bytes sent.",
            permanent=False,
        ),
        ProblemKind(
            slug="idempotency-mismatch",
            status=422,
            title="This Idempotency-Key was used for another request",
            remedy="Use a new key for a new request.",
        ),
        ProblemKind(
            slug="too-much-open-work",
            status=429,
            title="The tenant has as much open work as it may have",
            remedy="Wait until some of it has ended, or cancel some.",
            permanent=False,
        ),
        ProblemKind(
            slug="internal",
            status=500,
            title="Something failed here",
            remedy="Try again; if it stays, tell the operator the request id, which is in the log.",
            permanent=False,
        ),
        ProblemKind(
            slug="unavailable",
            status=503,
            title="The database does not answer",
            remedy="Ask again after the seconds in Retry-After; /readyz says what is missing.",
            permanent=False,
        ),
    )
}


class Refusal(Exception):
    """A request that gets a problem for an answer; `slug` is one of PROBLEMS."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        faults: Iterable[Fault] = (),
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = PROBLEMS[slug]
        self.detail, self.faults, self.remedy = detail, tuple(faults), remedy
        self.headers = dict(headers or {})


def invalid(faults: Iterable[Fault]) -> Refusal:
    """Every fault of a request in one answer."""
    found = tuple(faults)
    count = "one fault" if len(found) == 1 else f"{len(found)} faults"
    return Refusal("invalid", f"The request has {count}; see errors.", faults=found)


def missing(what: str) -> Refusal:
    """Nothing of that id: one text for an unknown id and for another tenant's, so that neither can be told apart."""
    return Refusal("not-found", f"There is no {what} with this id.")


def document(refusal: Refusal, request_id: str) -> Problem:
    """The problem document of a refusal; more faults than anyone reads are counted instead of listed."""
    faults = refusal.faults
    if len(faults) > MOST_FAULTS:
        more = Fault(pointer="", detail=f"and {len(faults) - MOST_FAULTS} more faults")
        faults = (*faults[:MOST_FAULTS], more)
    return Problem(
        type=TYPE_PREFIX + refusal.kind.slug,
        title=refusal.kind.title,
        status=refusal.kind.status,
        detail=refusal.detail[:4000],
        remedy=refusal.remedy or refusal.kind.remedy,
        permanent=refusal.kind.permanent,
        errors=faults,
        request_id=request_id,
    )


def respond(refusal: Refusal, request_id: str) -> Response:
    """A refusal as it is sent."""
    response = Response(document(refusal, request_id).model_dump_json(), refusal.kind.status, content_type=MEDIA_TYPE)
    response.headers.update(refusal.headers)
    response.headers["Cache-Control"] = "no-store"
    return response
