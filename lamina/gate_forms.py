"""How do pipelines show what a gate found, where people look? SARIF for code scanning, commands for a run's page.

Both point at the policy's file. A verdict that lets the version pass is no error; one that nothing was measured of is.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote

from lamina.gate import GatePolicy, Verdict
from service.contracts.base import digest_of

SARIF = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
Level = Literal["none", "warning", "error"]


def level(policy: GatePolicy, verdict: Verdict) -> Level:
    """How grave a verdict is: an error keeps the version from going out."""
    if verdict.status == "pass":
        return "none"
    return "warning" if verdict.status == "inconclusive" and policy.on_inconclusive == "pass" else "error"


def sarif(policy: GatePolicy, file: str, verdicts: Sequence[Verdict], version: str) -> bytes:
    """The verdicts as a SARIF log: every rule of the policy is a rule, and has one result."""
    rules = [
        {"id": _id(number, each), "shortDescription": {"text": _plain(each.title)}}
        for number, each in enumerate(verdicts, start=1)
    ]
    results = [_result(policy, file, place, each) for place, each in enumerate(verdicts)]
    driver = {"name": "lamina gate", "version": version, "rules": rules}
    log = {"$schema": SCHEMA, "version": SARIF, "runs": [{"tool": {"driver": driver}, "results": results}]}
    return (json.dumps(log, indent=1, ensure_ascii=False) + "\n").encode()


def annotations(policy: GatePolicy, file: str, verdicts: Sequence[Verdict]) -> str:
    """Workflow commands of GitHub Actions, one a line, for what does not pass."""
    return "".join(
        f"::{found} file={_property(file)},title={_property(f'gate: {each.status}')}::"
        f"{_message(f'{each.title}: {each.said}')}\n"
        for each in verdicts
        if (found := level(policy, each)) != "none"
    )


def _result(policy: GatePolicy, file: str, place: int, verdict: Verdict) -> dict[str, Any]:
    found = level(policy, verdict)
    point = verdict.point
    measured = {} if point is None else {"value": point.value, "low": point.low, "high": point.high, "n": point.n}
    return {
        "ruleId": _id(place + 1, verdict),
        "ruleIndex": place,
        "kind": "pass" if found == "none" else "fail",
        "level": found,
        "message": {"text": _plain(f"{verdict.title}: {verdict.said}" if verdict.said else verdict.title)},
        # code scanning shows no result without a line; the first stands for the whole file
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(file)}, "region": {"startLine": 1}}}],
        "partialFingerprints": {"gateRule/v1": digest_of(f"{policy.model}\n{verdict.title}".encode())},
        "properties": {"status": verdict.status, **measured},
    }


def _id(number: int, verdict: Verdict) -> str:
    """Rules have no names: the metric, and the rule's number among those of the policy."""
    return f"{verdict.rule.metric}/{number}"


def _uri(file: str) -> str:
    return quote(file.replace("\\", "/"))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
