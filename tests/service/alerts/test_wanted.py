"""Which alerts should be open? By a table, and by what must always hold."""

from datetime import UTC, datetime, timedelta

import pytest

from service.alerts.wanted import Concluded, Ending, Known, Missed, Unsigned, reaches, wanted

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def concluded(control: str, status: str, before: str | None = "met") -> Known:
    return Known(concluded=[Concluded(model_name="net", report="r", control=control, status=status, before=before)])


def ending(days: float, *, renewed: bool = False) -> Known:
    row = Ending(id="w", control="ROB-01", model_name="net", expires_at=NOW + days * DAY, renewed=renewed)
    return Known(endings=[row])


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (concluded("ROB-02", "met"), {}),
        (concluded("ROB-02", "insufficient_evidence"), {}),
        (concluded("ROB-02", "not_met"), {"control:net:ROB-02:not_met": "high"}),
        (concluded("ROB-02", "not_met", None), {"control:net:ROB-02:not_met": "high"}),
        (concluded("INT-01", "not_met"), {"control:net:INT-01:not_met": "critical"}),
        (concluded("REP-02", "not_met"), {"control:net:REP-02:not_met": "critical"}),
        (concluded("ROB-02", "stale"), {"control:net:ROB-02:stale": "medium"}),
        (ending(31), {}),
        (ending(30), {"waiver:w:30": "low"}),
        (ending(7.5), {"waiver:w:30": "low"}),
        (ending(7), {"waiver:w:7": "medium"}),
        (ending(0), {"waiver:w:0": "high"}),
        (ending(-6), {"waiver:w:0": "high"}),
        (ending(-8), {}),
        (ending(3, renewed=True), {}),
        (Known(unsigned=[Unsigned(id="r", model_name="net", generated_at=NOW - 9 * DAY)]), {}),
        (Known(unsigned=[Unsigned(id="r", model_name="net", generated_at=NOW - 10 * DAY)]), {"unsigned:r": "medium"}),
        (Known(schedules=[Missed(id="s", name="weekly", model_name="net", states=["missed"])]), {}),
        (Known(schedules=[Missed(id="s", name="weekly", model_name="net", states=["started", "missed"])]), {}),
        (
            Known(schedules=[Missed(id="s", name="weekly", model_name="net", states=["failed", "missed"])]),
            {"schedule:s": "high"},
        ),
    ],
)
def test_what_is_known_says_what_should_be_open(known: Known, expected: dict[str, str]) -> None:
    found = wanted(known, NOW)
    assert {key: each.severity for key, each in found.items()} == expected
    assert all("compliant" not in each.text for each in found.values())


def test_texts_say_what_was_measured_and_what_it_was_before() -> None:
    (alert,) = wanted(concluded("ROB-02", "not_met"), NOW).values()
    assert alert.text == "ROB-02 of net is not met in the newest report; the report before said met."
    (alert,) = wanted(ending(0), NOW).values()
    assert alert.text == "The exception to ROB-01 of net ended on 2026-06-01."


def test_who_asks_for_the_grave_ones_is_spared_the_others() -> None:
    assert [reaches(each, "high") for each in ("low", "medium", "high", "critical")] == [False, False, True, True]
