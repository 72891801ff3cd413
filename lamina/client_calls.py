"""What do all parts of the client call with? `lamina.client.Client` brings it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from uuid import uuid4

from lamina.transport import Transport
from service.contracts.api import Page
from service.contracts.base import Value

V = TypeVar("V", bound=Value)


class Calls:
    """Reads, posts, pages and waits, each giving values of `service.contracts`."""

    _transport: Transport

    def _act(self, value: type[V], path: str, *, repeatable: bool = True) -> V:
        """Post nothing, once. `repeatable`: the endpoint takes a key, so that a lost answer may be asked for again."""
        headers = {"Idempotency-Key": str(uuid4())} if repeatable else {}
        return self._value(value, self._transport.send("POST", path, headers=headers, repeatable=repeatable))

    def _get(self, value: type[V], path: str) -> V:
        raise NotImplementedError

    def _post(self, value: type[V], path: str, submission: Value, *, key: str | None = None) -> V:
        raise NotImplementedError

    def _pages(self, page: type[Page[V]], path: str, asked: Mapping[str, object] | None = None) -> Iterator[V]:
        raise NotImplementedError

    def _value(self, value: type[V], answer: Any) -> V:
        raise NotImplementedError

    def _wait(
        self,
        look: Callable[[], V],
        done: Callable[[V], bool],
        what: str,
        deadline: float,
        on_progress: Callable[[V], None] | None = None,
    ) -> V:
        raise NotImplementedError
