"""How does a request reach the service, and what happens when it does not, or when the service says no?

Only calls that may be made twice are tried again: after a connection that failed, and after 429 and 503, as long as
`Retry-After` (RFC 9110, section 10.2.3) asks for.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime

import httpx
from pydantic import ValidationError

from lamina.failure import Failure
from service.contracts.problem import Problem

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
WORTH_ANOTHER_TRY = frozenset({429, 503})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Body = Callable[[], bytes | Iterable[bytes]]


class ClientError(Failure):
    """The service could not be asked, or did not do what was asked."""


class Unreachable(ClientError):
    """No answer came: nothing listens at the address, or the connection broke every time."""


class NotOurs(ClientError):
    """An answer that no Lamina service gives; most likely something else listens at the address."""


class ApiProblem(ClientError):
    """The service said no, and why; `problem` holds every fault with its JSON Pointer."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        self.problem = problem
        self.retry_after = retry_after
        super().__init__(self._text())

    def _text(self) -> str:
        problem = self.problem
        lines = [f"{problem.title} ({problem.status}): {problem.detail}"]
        lines += [f"  {fault.pointer or '/'}: {fault.detail}" for fault in problem.errors]
        if problem.remedy:
            lines.append(f"  What to do: {problem.remedy}")
        lines.append(f"  Request {problem.request_id}")
        return "\n".join(lines)

    @property
    def slug(self) -> str:
        """The last part of the problem's type, such as `not-found`."""
        return self.problem.type.rpartition(":")[2]


class Transport:
    """Sends requests to one service with one key."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float,
        attempts: int,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout` in seconds, for each read and write; `attempts` at least 1, for calls that may be repeated."""
        self.url = url.rstrip("/")
        self._attempts = attempts
        self._sleep = sleep
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
            transport=transport,
            # A proxy named in the environment cannot reach the loopback address of this machine.
            trust_env=httpx.URL(self.url).host not in LOOPBACK,
        )

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        repeatable: bool = True,
        fine: frozenset[int] = frozenset(),
    ) -> httpx.Response:
        """The answer, if it is a success or its status is in `fine`.

        `body` makes the body's chunks anew for every attempt. Raises `ApiProblem`, `Unreachable` or `NotOurs`.
        """
        attempts = self._attempts if repeatable else 1
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            pause = FIRST_PAUSE_SECONDS * 2**attempt * (1 + random.random() / 4)  # many clients must not march in step
            try:
                answer = self._http.request(
                    method,
                    self.url + path,
                    params=params,
                    headers=headers,
                    content=None if body is None else body(),
                )
            except httpx.TransportError as error:
                if last:
                    raise Unreachable(_unreachable(self.url, error, attempts)) from error
            else:
                asked = retry_after(answer)
                wait = pause if asked is None else asked
                worth = answer.status_code in WORTH_ANOTHER_TRY and wait <= LONGEST_PAUSE_SECONDS
                if last or not worth or answer.status_code in fine:
                    return _success(answer, fine)
                pause = wait
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds the service asks to wait; a date counts from the answer's own `Date`, so no clock here is trusted."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until, since = parsedate_to_datetime(text), parsedate_to_datetime(answer.headers["Date"])
        return max(0.0, (until - since).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def problem_of(answer: httpx.Response) -> Problem:
    """The problem an answer holds. Raises `NotOurs` when it is no problem document."""
    try:
        return Problem.model_validate_json(answer.content, extra="ignore")
    except ValidationError as error:
        raise NotOurs(
            f"{answer.request.method} {answer.request.url} was answered {answer.status_code} without a "
            f"problem document ({answer.headers.get('Content-Type', 'no content type')}): is this a Lamina service?"
        ) from error


def _success(answer: httpx.Response, fine: frozenset[int]) -> httpx.Response:
    if answer.is_success or answer.status_code in fine:
        return answer
    if answer.is_redirect:
        raise NotOurs(
            f"{answer.request.url} sends on to {answer.headers.get('Location', 'nowhere')}: give the address itself, "
            "so that the key goes only where you say"
        )
    raise ApiProblem(problem_of(answer), retry_after(answer))


def _unreachable(url: str, error: httpx.TransportError, attempts: int) -> str:
    times = "once" if attempts == 1 else f"{attempts} times"
    return (
        f"{url} did not answer, tried {times} ({type(error).__name__}: {error}). Is the service running (`lamina up`) "
        "and the address right (LAMINA_URL)?"
    )
