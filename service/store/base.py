"""What do all tables share? Names for constraints, times as integers, an owner for every row."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, ClassVar
from uuid import UUID

import uuid6
from sqlalchemy import JSON, BigInteger, Dialect, Integer, MetaData, String, TypeDecorator, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Not JSONB: it reads 1e16 back as an integer, and what was stored is evidence. Nothing asks what is inside.
Json = JSON(none_as_null=True)
# SQLite numbers rows only for a primary key of type INTEGER.
RowNumber = BigInteger().with_variant(Integer, "sqlite")


def new_id() -> UUID:
    """A UUIDv7: rows made later sort later, which is what indexes and cursors want."""
    return UUID(int=uuid6.uuid7().int)


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


class UtcTime(TypeDecorator[datetime]):
    """UTC as integer microseconds since 1970: SQLite keeps no zone, and text compares badly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # given by SQLAlchemy
        """Refuse a time without a zone; store the rest exactly."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return (value - EPOCH) // timedelta(microseconds=1)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:  # noqa: ARG002  # given
        """Back to a datetime in UTC; by itself, because a page has hundreds of them."""
        return _time


@lru_cache(maxsize=4096)
def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


class SharedUuid(TypeDecorator[UUID]):
    """A UUID column whose few values come back many times: SQLite's text is read once each. For reading only."""

    impl = String
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], UUID | None] | None:  # noqa: ARG002  # given
        """The UUID; PostgreSQL's driver has made it already."""
        return None if dialect.name == "postgresql" else _uuid


Id = Annotated[UUID, mapped_column(Uuid, primary_key=True, default=new_id)]
Word = Annotated[str, mapped_column(String(128))]
DigestText = Annotated[str, mapped_column(String(71))]
JsonColumn = Annotated[dict[str, Any], mapped_column(Json)]


class Base(DeclarativeBase):
    """Every table; constraint names are given so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcTime, dict[str, Any]: Json, list[Any]: Json}


class Owned:
    """A row of one tenant, made by one principal. Sessions of a request see only their tenant's."""

    tenant: Mapped[UUID] = mapped_column(Uuid)
    created_by: Mapped[UUID] = mapped_column(Uuid)
    created_at: Mapped[datetime]
