import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from service.http.cursor import BadCursor, Cursors, secret_of
from service.settings import Settings

PLACE = (datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC), UUID(int=7))
TENANT, OTHER = UUID(int=1), UUID(int=2)


def test_a_cursor_leads_back_to_its_place() -> None:
    cursors = Cursors("secret")

    assert cursors.read(cursors.write(PLACE, tenant=TENANT, filters="f"), tenant=TENANT, filters="f") == PLACE


def test_a_cursor_is_good_for_its_key_tenant_and_filters_alone() -> None:
    text = Cursors("secret").write(PLACE, tenant=TENANT, filters="f")

    for key, tenant, filters in (("other", TENANT, "f"), ("secret", OTHER, "f"), ("secret", TENANT, "g")):
        with pytest.raises(BadCursor):
            Cursors(key).read(text, tenant=tenant, filters=filters)


def test_any_other_text_is_no_cursor() -> None:
    cursors = Cursors("secret")
    text = cursors.write(PLACE, tenant=TENANT, filters="f")

    for index in range(len(text)):
        bent = text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]
        if bent[-1:] != text[-1:]:
            continue  # the last letter may hold bits that base64 throws away
        with pytest.raises(BadCursor):
            cursors.read(bent, tenant=TENANT, filters="f")
    for nonsense in ("", "A", "é", "=" * 8, "a b", text + "A"):
        with pytest.raises(BadCursor):
            cursors.read(nonsense, tenant=TENANT, filters="f")


def test_the_secret_is_the_setting(tmp_path: Path) -> None:
    assert secret_of(Settings(database_url=f"sqlite:///{tmp_path}/l.db", cursor_key="mine")) == "mine"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:///{folder}/lamina.db", "postgresql+psycopg://user@host/lamina"])
def test_without_a_setting_one_is_made_once_and_kept_for_us_alone(tmp_path: Path, url: str) -> None:
    settings = Settings(database_url=url.format(folder=tmp_path), scratch=tmp_path / "scratch")

    made, again = secret_of(settings), secret_of(settings)

    kept = tmp_path / "secrets" / "cursor_key"
    assert made == again == kept.read_text()
    assert len(made) == 64
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["cursor_key"]


def test_a_database_in_memory_keeps_no_secret() -> None:
    settings = Settings(database_url="sqlite://")

    assert secret_of(settings) != secret_of(settings)
