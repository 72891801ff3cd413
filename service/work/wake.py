"""Who wakes the dispatcher? Whoever committed new work rings; polling is the net when the broker carries no ring."""

import contextlib
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis

CHANNEL = "lamina:wake"
PATIENCE = 0.25  # seconds; a request waits no longer for a broker that is not there
LOOK_UP = 0.5  # seconds between two looks at whether to stop
FORGIVEN = 1.0  # seconds until a broker that failed is tried again


class _Bells:
    """One connection pool a broker and process, and when each may be tried again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, redis.Redis] = {}
        self._not_before: dict[str, float] = {}

    def ring(self, broker_url: str) -> bool:
        if time.monotonic() < self._not_before.get(broker_url, 0.0):
            return False
        try:
            with self._lock:
                if broker_url not in self._clients:
                    self._clients[broker_url] = client(broker_url, patience=PATIENCE)
            self._clients[broker_url].publish(CHANNEL, "work")
        except (redis.RedisError, OSError, ValueError):
            self._not_before[broker_url] = time.monotonic() + FORGIVEN
            return False
        return True


_BELLS = _Bells()


def ring(broker_url: str) -> bool:
    """Tell whoever listens that there is work. Never raises; False if the broker is, or a moment ago was, not there."""
    return _BELLS.ring(broker_url)


class Ear:
    """Listens for rings over one subscription, so that none is missed between two waits."""

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url
        self._heard: Any = None

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait until someone rings (True), or `seconds` have passed or `stop` is set (False).

        Without a broker it waits all the same, and tries to listen again the next time.
        """
        try:
            if self._heard is None:
                self._heard = self._subscribe()
            rung, until = False, time.monotonic() + seconds
            while not rung and not stop.is_set() and (left := until - time.monotonic()) > 0:
                rung = self._heard.get_message(timeout=min(left, LOOK_UP)) is not None
            while rung and self._heard.get_message(timeout=0) is not None:
                pass  # rings that came together are one
        except (redis.RedisError, OSError, ValueError):
            self.close()
            stop.wait(seconds)
            return False
        return rung and not stop.is_set()

    def close(self) -> None:
        """Stop listening."""
        if self._heard is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                self._heard.close()
            self._heard = None

    def _subscribe(self) -> Any:
        heard = client(self._url, patience=1.0).pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py has no types here
        try:
            heard.subscribe(CHANNEL)
            heard.get_message(timeout=1.0)  # the broker's word that it listens; from here on no ring is missed
        except Exception:
            heard.close()
            raise
        return heard


def client(broker_url: str, *, patience: float) -> redis.Redis:
    """A connection to a broker named as Celery names it: redis://, rediss:// or redis+socket:///PATH?virtual_host=0."""
    # One try: what a ring is for is done by polling if it fails.
    options: dict[str, Any] = {"socket_timeout": patience, "socket_connect_timeout": patience, "retry": None}
    parts = urlsplit(broker_url)
    if parts.scheme == "redis+socket":
        number = int(parse_qs(parts.query).get("virtual_host", ["0"])[0])
        return redis.Redis(unix_socket_path=parts.path, db=number, password=parts.password, **options)
    return redis.Redis.from_url(broker_url, **options)
