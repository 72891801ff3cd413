"""Who draws? A process of its own, one per report: the renderer holds the interpreter's lock and might hang.

The parent writes `{"specs": [...]}` on its standard input and reads `{"drawings": [...]}` or `{"error": ...}` from its
standard output; at the deadline it kills the process group. About 0.6 s for the first drawing and 40 ms for each after.
Run as `python -m service.report.draw`; no network: every address is refused.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import service

VEGA_LITE = "6.4"
DATA_BYTES = 2 * 2**30
LARGEST_ANSWER = 256 * 2**20
COMMAND = (sys.executable, "-P", "-m", "service.report.draw")


class DrawingFailed(RuntimeError):
    """No drawings: why, in a sentence. Trying again can help when it ran out of time."""


def draw(specs: Sequence[dict[str, Any]], deadline_seconds: float, *, command: Sequence[str] = COMMAND) -> list[str]:
    """One SVG per Vega-Lite specification, as the renderer wrote it: not yet cleaned.

    Raises DrawingFailed when the process outlives `deadline_seconds`, dies, or answers with anything but that.
    """
    if not specs:
        return []
    request = json.dumps({"specs": list(specs)}, allow_nan=False).encode()
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=_environment(),
    )
    with process:
        try:
            answer, complaint = process.communicate(request, timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            raise DrawingFailed(
                f"the figures ({len(specs)}) were not drawn within {deadline_seconds:g} s; their process was ended"
            ) from None
        finally:
            _end(process)
    return _drawings(answer, complaint, process.returncode, len(specs))


def _environment() -> dict[str, str]:
    """Nothing of ours but where the package lies: no key, no address, no proxy."""
    return {"PYTHONPATH": str(Path(service.__file__).resolve().parent.parent), "LANG": "C.UTF-8", "TZ": "UTC"}


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _drawings(answer: bytes, complaint: bytes, code: int, expected: int) -> list[str]:
    if code != 0 or len(answer) > LARGEST_ANSWER:
        said = complaint.decode("utf-8", "replace").strip().splitlines()
        raise DrawingFailed(f"the drawing process ended with {code}: {said[-1][:500] if said else 'it said nothing'}")
    try:
        read = json.loads(answer)
        drawings, error = read.get("drawings"), read.get("error")
    except (ValueError, AttributeError) as broken:
        raise DrawingFailed("the drawing process answered with something that is not a JSON object") from broken
    if error is not None:
        raise DrawingFailed(f"a figure could not be drawn: {str(error)[:500]}")
    if not isinstance(drawings, list) or len(drawings) != expected or not all(isinstance(one, str) for one in drawings):
        raise DrawingFailed(f"the drawing process answered with something else than {expected} drawings")
    return drawings


def main() -> None:
    """The drawing process: one request, one answer."""
    _limit()
    import vl_convert

    specs = json.load(sys.stdin)["specs"]
    drawings: list[str] = []
    answer: dict[str, Any] = {"drawings": drawings}
    for index, spec in enumerate(specs):
        try:
            drawings.append(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[]))
        except ValueError as error:
            answer = {"error": f"figure {index + 1} of {len(specs)}: {error}"}
            break
    json.dump(answer, sys.stdout)


def _limit() -> None:
    """Bound what a drawing may take, before the renderer is loaded."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))


if __name__ == "__main__":
    main()
