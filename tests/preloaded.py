"""What becomes of a program in a process that had imported `workers.preload` and nothing else?

One process imports it for all programs, which takes seconds; each program runs in a fork of its own, as a job does.
"""

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
Preloaded = Callable[..., str]


@contextlib.contextmanager
def preloaded() -> Iterator[Preloaded]:
    """Runs programs, the text of each with its arguments, and gives what they write; one that fails is an assertion."""
    command = [sys.executable, "-m", "tests.preloaded"]
    environment = {**os.environ, **ENVIRONMENT}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        said, complained = Path(folder) / "said", Path(folder) / "complained"

        def answer(program: str, *arguments: str) -> str:
            assert process.stdin is not None  # both were asked for
            assert process.stdout is not None
            process.stdin.write(json.dumps([str(said), str(complained), program, *arguments]) + "\n")
            process.stdin.flush()
            status = process.stdout.readline().strip()
            assert status == "0", f"the program ended with {status or 'its server'}:\n{complained.read_text()}"
            return said.read_text()

        yield answer
        assert process.stdin is not None
        process.stdin.close()


def serve() -> None:
    """Run what comes in, a line of JSON each, until there is no more."""
    gc.disable()
    import workers.preload  # noqa: F401 - what this process is for

    for line in sys.stdin:
        said, complained, program, *arguments = json.loads(line)
        child = os.fork()
        if not child:
            for stream, name in ((1, said), (2, complained)):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            os._exit(_ran(program, arguments))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def _ran(program: str, arguments: list[str]) -> int:
    """The exit status of a program."""
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    except BaseException:  # whatever it is, the test is to show it
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve()
