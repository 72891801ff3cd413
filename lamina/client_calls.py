"""How does every part of the client ask? It gets, posts, turns pages and waits, and what comes are typed values."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from uuid import uuid4

import httpx
from pydantic import ValidationError

from lamina.transport import ClientError, NotOurs, Transport
from service.contracts.api import Page
from service.contracts.base import Value

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.1, 2.0

V = TypeVar("V", bound=Value)


class DeadlinePassed(ClientError, TimeoutError):
    """Something was not done in the time given; it goes on, and can be waited for again."""

    exit_code = 4


class Calls:
    """One service, seen with one key; each part of `lamina.client.Client` asks through this."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        attempts: int = 5,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout` in seconds for each read and write; `attempts` for calls that may be made twice."""
        self._sleep = sleep
        self._transport = Transport(url, key, timeout=timeout, attempts=attempts, transport=transport, sleep=sleep)

    def _act(self, value: type[V], path: str, *, repeatable: bool = True) -> V:
        """Post nothing, once. `repeatable`: the endpoint takes a key, so that a lost answer may be asked for again."""
        headers = {"Idempotency-Key": str(uuid4())} if repeatable else {}
        return self._value(value, self._transport.send("POST", path, headers=headers, repeatable=repeatable))

    def _get(self, value: type[V], path: str) -> V:
        return self._value(value, self._transport.send("GET", path))

    def _post(self, value: type[V], path: str, submission: Value, *, key: str | None = None) -> V:
        content = submission.model_dump_json().encode()
        headers = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
        answer = self._transport.send("POST", path, headers=headers, body=lambda: content, repeatable=key is not None)
        return self._value(value, answer)

    def _pages(self, page: type[Page[V]], path: str, asked: Mapping[str, object] | None = None) -> Iterator[V]:
        params = {name: str(value) for name, value in (asked or {}).items() if value is not None}
        while True:
            got = self._value(page, self._transport.send("GET", path, params=params))
            yield from got.items
            if got.next is None:
                return
            params["cursor"] = got.next

    def _value(self, value: type[V], answer: httpx.Response) -> V:
        try:
            # A newer service may say more than this client knows; that is no reason to fail.
            return value.model_validate_json(answer.content, extra="ignore")
        except ValidationError as error:
            raise NotOurs(
                f"{answer.request.method} {answer.request.url} was answered with no {value.__name__}: is this a Lamina "
                f"service, and of a version near this client's? {error}"
            ) from error

    def _wait(
        self,
        look: Callable[[], V],
        done: Callable[[V], bool],
        what: str,
        deadline: float,
        on_progress: Callable[[V], None] | None = None,
    ) -> V:
        until = time.monotonic() + deadline
        pause = FIRST_LOOK_SECONDS
        while True:
            view = look()
            if on_progress is not None:
                on_progress(view)
            if done(view):
                return view
            if time.monotonic() + pause > until:
                raise DeadlinePassed(f"{what} was not done in {deadline:g} s; it goes on and can be waited for again")
            self._sleep(pause)
            pause = min(pause * 1.3, LONGEST_LOOK_SECONDS)
