"""Is every change of a log found, and named where it was made?"""

from collections.abc import Callable

import pytest

from service.evidence.chain import START, Entry, Link, breaks, heads_broken, joined


def entry(number: int, **changes: object) -> Entry:
    values = {
        "id": 100 + number,
        "tenant": "t",
        "by": "p",
        "at": 1_767_225_600_000_000 + number,
        "subject_type": "audit",
        "subject_id": f"s{number}",
        "action": "submitted",
        "before": None,
        "after": None,
        "detail": {"analyses": number, "share": 0.1},
    }
    return Entry.model_validate(values | changes)


def chain(count: int) -> list[Link]:
    links, before = [], START
    for number in range(count):
        written = entry(number)
        before = joined(before, written.leaf())
        links.append(Link(number=number, entry=written, leaf=written.leaf(), chain_hash=before))
    return links


def change(link: Link, **changes: object) -> Link:
    return link.model_copy(update=changes)


def found(links: list[Link]) -> list[tuple[int, int | None]]:
    return [(each.number, each.event) for each in breaks(links)]


def test_a_log_that_nobody_touched_has_no_break() -> None:
    assert found(chain(7)) == []
    assert found([]) == []
    assert list(breaks(chain(7)[3:], start=chain(7)[2].chain_hash, first=3)) == []


TAMPERINGS: dict[str, tuple[Callable[[list[Link]], list[Link]], list[tuple[int, int | None]]]] = {
    "an event says something else": (
        lambda log: [*log[:2], change(log[2], entry=entry(2, action="never")), *log[3:]],
        [(2, 102)],
    ),
    "an event and its leaf": (
        lambda log: [
            *log[:2],
            change(log[2], entry=entry(2, at=5), leaf=entry(2, at=5).leaf()),
            *log[3:],
        ],
        [(2, 102)],
    ),
    "a hash of the chain": (
        lambda log: [*log[:2], change(log[2], chain_hash=log[1].chain_hash), *log[3:]],
        [(2, 102), (3, 103)],
    ),
    "a hash that is none": (lambda log: [*log[:4], change(log[4], leaf="sha256:12")], [(4, 104), (4, 104)]),
    "an event is taken out": (lambda log: [*log[:2], *log[3:]], [(2, None), (3, 103)]),
    "two events change places": (
        lambda log: [
            *log[:2],
            change(log[3], number=2),
            change(log[2], number=3),
            *log[4:],
        ],
        [(2, 103), (3, 102), (4, 104)],
    ),
    "a number is taken twice": (lambda log: [*log[:3], log[2], *log[3:]], [(2, 102), (2, 102)]),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_change_is_found_where_it_was_made(name: str) -> None:
    tamper, expected = TAMPERINGS[name]
    assert found(tamper(chain(5))) == expected


def test_a_log_rewritten_from_some_place_on_joins_but_does_not_lead_to_its_signed_head() -> None:
    log = chain(5)
    rewritten, before = log[:3], log[2].chain_hash
    for number in (3, 4):
        forged = entry(number, action="forged")
        before = joined(before, forged.leaf())
        rewritten.append(Link(number=number, entry=forged, leaf=forged.leaf(), chain_hash=before))
    assert found(rewritten) == []
    hashes = {link.number + 1: link.chain_hash for link in rewritten}
    heads = [(0, START), (3, log[2].chain_hash), (5, log[4].chain_hash), (9, START)]
    assert [each.number for each in heads_broken(hashes, heads)] == [5, 9]


def test_what_is_hashed_is_canonical_whatever_order_it_came_in() -> None:
    one = entry(1)
    turned = Entry.model_validate(dict(reversed(list(one.model_dump().items()))))
    assert one.written() == turned.written()
    assert one.leaf() != entry(1, before="queued").leaf()
    with pytest.raises(ValueError, match="is no SHA-256 digest"):
        joined("md5:00", one.leaf())
