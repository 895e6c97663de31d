"""The state of a database at one moment, and in what two states differ."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from idp import copying, migrations
from idp.backup.manifest import Head, Mark
from idp.backup.progress import Act, Step, Watch
from idp.trail import AuditBatch


def read_mark(connection: Connection, watch: Watch) -> Mark:
    """Return the state that a connection sees.

    :param connection: one whose transaction sees one state and no later one.
    """
    rows, tables = {}, copying.all_tables()
    for number, table in enumerate(tables, 1):
        rows[table.name] = copying.count_rows(connection, table)
        watch(Step(Act.COUNT, number, len(tables), "tables"))
    state = copying.describe(connection)
    return Mark(
        schema=migrations.revision(connection) or "",
        installation=state.installation,
        changes=state.changes,
        trails=tuple(_heads(connection)),
        rows=rows,
    )


def _heads(connection: Connection) -> Iterator[Head]:
    newest = select(AuditBatch.realm, func.max(AuditBatch.number).label("number")).group_by(AuditBatch.realm).subquery()
    here = (AuditBatch.realm == newest.c.realm) & (AuditBatch.number == newest.c.number)
    query = select(AuditBatch.realm, AuditBatch.number, AuditBatch.total, AuditBatch.head).join(newest, here)
    for row in connection.execute(query.order_by(AuditBatch.realm)):
        yield Head(realm=row.realm, number=row.number, total=row.total, head=row.head)


def differences(said: Mark, found: Mark) -> Iterator[str]:
    """Return in what a restored database is not what the manifest says."""
    if (said.db_schema, said.installation, said.changes) != (found.db_schema, found.installation, found.changes):
        yield (
            f"The manifest is of schema {said.db_schema}, change {said.changes}; the database has schema "
            f"{found.db_schema or 'none'}, change {found.changes}"
            + ("." if said.installation == found.installation else ", and is another installation.")
        )
    for name in sorted(said.rows.keys() | found.rows.keys()):
        there, due = found.rows.get(name, 0), said.rows.get(name, 0)
        if there != due:
            yield f"Table {name} has {there} rows; {due} were backed up."
    heads = {each.realm: each for each in found.trails}
    for head in said.trails:
        if heads.get(head.realm) != head:
            yield f"The audit trail of {head.realm or 'the server'} does not end at batch {head.number}, as the manifest says."
