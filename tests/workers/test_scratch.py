"""A scratch goes when its work ends, whatever a child left in it, and when its worker died."""

import os
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir

import pytest

from workers.scratch import Scratch, remove, sweep


def python(script: str, place: Path) -> None:
    subprocess.run([sys.executable, "-c", script, str(place)], check=True, timeout=240)


def test_folders_deeper_than_the_stack_and_the_descriptors_are_removed(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    deep = "import os, sys\nos.chdir(sys.argv[1])\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')\n"
    python(deep + "open('bottom', 'w').close()", scratch.path / "results")
    scratch.clear()
    assert list(tmp_path.iterdir()) == []


def test_links_and_pipes_are_removed_and_not_followed(tmp_path: Path) -> None:
    scratch, kept = Scratch(tmp_path / "scratch"), tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    (scratch.path / "results" / "link").symlink_to(kept)
    os.mkfifo(scratch.path / "results" / "pipe")
    scratch.clear()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (kept / "file").read_text() == "mine"


def test_folders_nobody_may_look_into_are_removed_without_root(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("open") / "child-1"
    place.parent.chmod(0o777)
    for folder in takewhile(lambda folder: folder != Path(gettempdir()), place.parent.parents):
        folder.chmod(folder.stat().st_mode | 0o011)
    python(
        "import os, sys; from pathlib import Path; from workers.scratch import remove\n"
        "place = Path(sys.argv[1]); os.geteuid() or os.setuid(65534)\n"
        "(place / 'unseen' / 'inner').mkdir(parents=True)\n"
        "(place / 'unseen' / 'file').touch()\n"
        "(place / 'unseen' / 'inner').chmod(0); (place / 'unseen').chmod(0o300)\n"
        "remove(place)\n",
        place,
    )
    assert list(place.parent.iterdir()) == []


def test_a_sweep_takes_the_folders_of_the_dead_alone(tmp_path: Path) -> None:
    living = Scratch(tmp_path)
    script = "import sys; from pathlib import Path; from workers.scratch import Scratch; Scratch(Path(sys.argv[1]))"
    python(script, tmp_path)
    (tmp_path / "somebody-elses").mkdir()
    assert len(list(tmp_path.iterdir())) == 3
    assert sweep(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.path.name, "somebody-elses"]
    living.clear()


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")
