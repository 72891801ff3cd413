"""What do tests of assessment start from? One control with one requirement, and one number that answers it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from service.compliance.assess import Found, Question, assess
from service.contracts.compliance import Assessed, Control, Evidence, Excepted, Judged, Requirement

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)


def need(**changes: Any) -> Requirement:
    """Accuracy is 0.9 or more, surely, on 100 examples of the last 30 days."""
    usual: dict[str, Any] = {
        "source": "measurement",
        "metric": "clean_accuracy",
        "op": ">=",
        "threshold": 0.9,
        "rule": "ci",
        "n": 100,
        "fresh": 30,
        "basis": "O",
    }
    return Requirement(**usual | changes)


def number(value: float = 0.95, low: float | None = 0.93, high: float | None = 0.97, **changes: Any) -> Evidence:
    """A measured value, ten days old."""
    usual: dict[str, Any] = {
        "source": "measurement",
        "metric": "clean_accuracy",
        "value": value,
        "low": low,
        "high": high,
        "n": 500,
        "at": AS_OF - timedelta(days=10),
    }
    return Evidence(**usual | changes)


def control(*needs: Requirement, name: str = "ORG-01", **changes: Any) -> Control:
    return Control(id=name, title="It does", meaning="It must.", requirements=needs or (need(),), **changes)


def excepted(effect: str = "waived") -> Excepted:
    return Excepted(
        id="w",
        effect="waived" if effect == "waived" else "not_applicable",
        reason="the scanner is replaced",
        compensating="a person reads it",
        requested_by="ann",
        decided_by="bob",
        granted_at=AS_OF - timedelta(days=3),
        expires_at=AS_OF + timedelta(days=3),
    )


def question(*controls: Control, **more: Any) -> Question:
    usual: dict[str, Any] = {"found": {}, "as_of": AS_OF, "tier": "high", "applies": {}}
    return Question(controls=controls, **usual | more)


def assessed(wanted: Requirement, found: Found, **more: Any) -> Assessed:
    """A control of one requirement, assessed."""
    only = control(wanted)
    return assess(question(only, found={(only.id, 0): found}, **more))[0]


def judged(wanted: Requirement, found: Found, **more: Any) -> Judged:
    """That requirement, judged."""
    return assessed(wanted, found, **more).judged[0]
