"""Is a ring heard at once, and is a broker that is gone no more than a slower ring?"""

import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
import redis

from lamina.embedded.valkey import EmbeddedValkey
from service.work import wake
from service.work.wake import Ear, ring
from tests.servers import valkey

pytestmark = pytest.mark.stack
NOWHERE = "redis+socket:///nowhere/valkey.sock?virtual_host=0"


@pytest.fixture
def broker() -> Iterator[EmbeddedValkey]:
    with valkey() as server:
        yield server


def test_a_ring_is_heard_long_before_the_poll(broker: EmbeddedValkey) -> None:
    ear, stop = Ear(broker.celery_url), threading.Event()
    assert ear.wait(0.05, stop) is False
    threading.Timer(0.1, ring, [broker.celery_url]).start()
    begun = monotonic()
    assert ear.wait(300, stop) is True
    assert monotonic() - begun < 100
    ear.close()


def test_a_ring_between_two_waits_is_not_missed_and_many_do_not_wake_oftener(broker: EmbeddedValkey) -> None:
    ear, stop = Ear(broker.celery_url), threading.Event()
    ear.wait(0.05, stop)
    assert [ring(broker.celery_url) for _ in range(3)] == [True] * 3
    assert ear.wait(5, stop) is True
    # What has arrived by then is one; what the broker had still to hand over may wake once more each, and no oftener.
    assert not all(ear.wait(0.05, stop) for _ in range(3))
    ear.close()


def test_without_a_broker_a_ring_never_raises_and_the_second_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[object, ...]] = []
    publish = redis.Redis.publish

    def counted(broker: redis.Redis, *said: str) -> Any:
        tried.append(said)
        return publish(broker, *said)

    monkeypatch.setattr(wake, "FORGIVEN", 600.0)
    monkeypatch.setattr(redis.Redis, "publish", counted)
    bells = wake._Bells()
    for _ in range(100):
        assert bells.ring(NOWHERE) is False
    assert len(tried) == 1


def test_without_a_broker_the_ear_waits_as_long_as_it_was_told() -> None:
    ear, stop = Ear(NOWHERE), threading.Event()
    begun = monotonic()
    assert ear.wait(0.2, stop) is False
    assert 0.2 <= monotonic() - begun < 100
    stop.set()
    begun = monotonic()
    assert ear.wait(300, stop) is False
    assert monotonic() - begun < 100


def test_the_ear_hears_again_once_the_broker_is_back(broker: EmbeddedValkey) -> None:
    ear, stop = Ear(broker.celery_url), threading.Event()
    ear.wait(0.05, stop)
    broker.stop()
    assert ear.wait(0.05, stop) is False
    broker.start()
    ear.wait(0.05, stop)
    deadline = monotonic() + 20
    while not ring(broker.celery_url) and monotonic() < deadline:
        threading.Event().wait(0.05)  # a broker that failed is left alone for a second
    assert ear.wait(5, stop) is True
    ear.close()
