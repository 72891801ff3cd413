"""Would the harness see an attack? With no validator in the way, each effect is made and must be noticed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.contracts.job import Failed, Inspected, Refused
from service.contracts.problem import Reason
from tests.hostile import canary
from tests.hostile.canary import MARKER, OUTSIDE, PYTHON, SECRET, SHELL, Canary
from tests.hostile.harness import RESOURCES, Hostile, Intake, _is_for_people, meets
from tests.workers.facts import dataset_facts, model_facts
from tests.workers.networks import SHAPES, Mlp, made
from tests.workers.subject.test_pt2 import raw_export

pytestmark = pytest.mark.slow
SOCKETS = "import socket; s = socket.socket(); s.connect(('127.0.0.1', {port}))"


def live(text: str) -> Hostile:
    """A file that is a Python program; the careless entry runs it."""
    return Hostile(
        name="a program", build=lambda path: path.write_text(text.replace("{port}", str(canary.port()))),
        facts=model_facts((4,)), code="none",
    )  # fmt: skip


@pytest.fixture(scope="module")
def careless() -> Iterator[Intake]:
    opened = Intake(entry="tests.hostile.inside:careless")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def unconfined() -> Iterator[Intake]:
    """No Landlock, no seccomp: what the sandbox otherwise denies really happens."""
    opened = Intake(entry="tests.hostile.inside:careless", preload="tests.hostile.unconfined")
    yield opened
    opened.close()


def test_a_harmless_model_comes_in_without_a_sound(intake: Intake, tmp_path: Path) -> None:
    def build(path: Path) -> None:
        raw_export(made(Mlp).eval(), SHAPES[Mlp], path)

    case = Hostile(name="a harmless model", build=build, facts=model_facts(SHAPES[Mlp]), code=None)
    result = intake.run(case, tmp_path)
    meets(case, result)
    assert isinstance(result, Inspected)


def test_a_refusal_is_returned_with_its_code(intake: Intake, tmp_path: Path) -> None:
    case = Hostile(
        name="not an archive", build=lambda path: path.write_bytes(b"\x00" * 64), what="dataset",
        facts=dataset_facts((4,)), code=("other", "code"),
    )  # fmt: skip
    result = intake.run(case, tmp_path)
    assert isinstance(result, Refused)
    with pytest.raises(AssertionError, match=result.reason.code):
        meets(case, result)


def test_foreign_code_is_seen_even_where_it_stays_in_the_scratch(careless: Intake, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a payload left"):
        careless.run(live(PYTHON), tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"open({str(OUTSIDE)!r}, 'w')", "files"),
        (f"import os; os.system('touch {OUTSIDE}')", "files"),
        (f"open({str(canary.ROOT / 'plain')!r}, 'a').write('more')", "contents"),
        (f"import os; os.chmod({str(canary.ROOT / 'readonly')!r}, 0o777)", "status"),
        (f"import os; os.utime({str(canary.ROOT / 'program')!r}, (1, 1))", "status"),
        (f"import os; os.link({str(SECRET)!r}, {str(canary.ROOT / 'second')!r})", "files"),
        (SOCKETS, "connections"),
        (f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(canary.UNIX_SOCKET)!r})", "connections"),
    ],
    ids=["write", "shell", "append", "chmod", "utime", "link", "tcp", "unix"],
)
def test_every_effect_outside_is_seen(text: str, what: str, unconfined: Intake, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=f"an effect outside the child: .*'{what}'"):
        unconfined.run(live(text), tmp_path)


def test_a_secret_in_what_the_child_leaves_is_seen(unconfined: Intake, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a secret came out"):
        unconfined.run(live(f"print(open({str(SECRET)!r}).read(), flush=True)"), tmp_path)


@pytest.mark.parametrize("text", [SHELL, "import this", "import pickle; pickle.loads(b'cos\\nsystem\\n.')"])
def test_what_is_only_tried_is_seen_too(text: str, tmp_path: Path) -> None:
    """The audit hook hears what the sandbox denies, and what has no effect at all."""
    from tests.hostile.inside import suspicious

    events = {
        SHELL: ("os.system", (SHELL.encode(),)),
        "import this": ("import", ("this", None, None, None, None)),
        "import pickle; pickle.loads(b'cos\\nsystem\\n.')": ("pickle.find_class", ("os", "system")),
    }
    event, given = events[text]
    assert suspicious(event, given, {"os", "sys"})
    assert not suspicious("import", ("os.path", None), {"os", "sys"})
    assert suspicious("compile", (f"f({MARKER!r})", "<string>"), set())
    assert suspicious("open", ("/etc/crontab", "w", os.O_WRONLY), set())
    assert not suspicious("open", ("/proc/self/cwd/results/a1/result.json", "w", os.O_WRONLY), set())
    assert not suspicious("open", ("/usr/lib/libm.so", "r", os.O_RDONLY | os.O_CLOEXEC), set())


@pytest.mark.parametrize(
    "detail",
    [
        "no",
        "it failed with KeyError: 'nodes' in the graph",
        "the file /proc/self/cwd/inputs/source cannot be read at all",
        "a name with a \x1b[31m control character stands in it",
        "x " * 3000 + "this text is far too long for anybody",
    ],
    ids=["word", "exception", "path", "control", "length"],
)
def test_a_text_that_is_not_for_people_is_seen(detail: str, tmp_path: Path) -> None:
    reason = Reason.model_construct(code="malformed", detail=detail, remedy="Export the model again.", faults=())
    with pytest.raises(AssertionError):
        _is_for_people(Refused.model_construct(reason=reason), b"", tmp_path)


def test_a_failure_counts_only_where_a_resource_ran_out() -> None:
    case = Hostile(name="a case", build=lambda path: None, facts=model_facts((4,)), code=("memory", "internal"))
    meets(case, Failed(reason=Reason(code=RESOURCES[0], detail="the memory did not suffice")))
    with pytest.raises(AssertionError):
        meets(case, Failed(reason=Reason(code="internal", detail="a fault of ours")))


def test_a_quiet_case_leaves_the_canary_quiet() -> None:
    with Canary():
        assert canary.port() > 0
    assert not canary.ROOT.exists()
