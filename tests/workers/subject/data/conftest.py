"""Files go through intake: `take` expects them in, `refuse` expects a refusal with a remedy."""

from pathlib import Path

import pytest

from tests.workers.subject.data.files import Refused, Taken, taken
from workers.subject.refusal import Refusal


@pytest.fixture
def take(tmp_path: Path) -> Taken:
    return lambda content, facts=None: taken(tmp_path, content, facts)


@pytest.fixture
def refuse(tmp_path: Path) -> Refused:
    def refused(content: bytes | str, facts=None) -> Refusal:
        with pytest.raises(Refusal) as caught:
            taken(tmp_path, content, facts)
        assert caught.value.remedy
        assert str(tmp_path) not in caught.value.detail
        return caught.value

    return refused
