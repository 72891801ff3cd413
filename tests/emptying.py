"""Is a database again as it was when it was made? Its rows go; one whose schema moved is not used again.

Making a PostgreSQL database takes half a second, and a thousand tests want one each.
"""

import psycopg

_SCHEMA = """
SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM (
    SELECT concat_ws(' ', oid, relname, relkind, relrowsecurity, relforcerowsecurity, relacl)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', attrelid, attname, atttypid, attnotnull, attisdropped) FROM pg_attribute
        WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    UNION ALL SELECT concat_ws(' ', oid, tgenabled) FROM pg_trigger
    UNION ALL SELECT concat_ws(' ', oid, conname) FROM pg_constraint
    UNION ALL SELECT concat_ws(' ', oid, polname, polqual, polwithcheck) FROM pg_policy
    UNION ALL SELECT concat_ws(' ', oid, md5(prosrc)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', setrole, setconfig) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS parts(part)
"""
_EMPTY = """
DO $$
DECLARE
    each record;
BEGIN
    SET LOCAL session_replication_role = replica;  -- the log's triggers let nothing be deleted
    FOR each IN SELECT oid::regclass AS name, pg_relation_size(oid) AS size FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
    LOOP
        IF each.size > 65536 THEN
            EXECUTE format('TRUNCATE %s CASCADE', each.name);
        ELSIF each.size > 0 THEN
            EXECUTE format('DELETE FROM %s', each.name);
        END IF;
    END LOOP;
    PERFORM setval(oid::regclass, 1, false) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'S';
END $$
"""
_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def schema_of(url: str) -> str:
    """What tables, columns, triggers, policies and settings a database has, as a digest."""
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        return _schema(connection)


def emptied(url: str, schema: str) -> bool:
    """Take every row out of a database and end the connections to it; False where its schema is another by now."""
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        connection.execute(_OTHERS)
        if _schema(connection) != schema:
            return False
        connection.execute(_EMPTY)
        return True


def _schema(connection: psycopg.Connection) -> str:
    row = connection.execute(_SCHEMA).fetchone()
    assert row is not None
    return str(row[0])


def _plain(url: str) -> str:
    """As libpq has it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
