"""The triggers that keep the trail append-only."""

from sqlalchemy import select, text

from idp.db import db
from idp.trail.models import AuditSealing


def is_guarded() -> bool:
    """Tell whether the triggers are in place that make the database refuse to change or remove anything in the trail.

    One that is called so and does nothing does not count.
    """
    if db.engine.dialect.name == "sqlite":
        query = (
            "SELECT tbl_name, count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit_%' "
            "AND sql LIKE '%SELECT RAISE(ABORT, ''the audit trail is append-only'')%' GROUP BY tbl_name"
        )
        expected = {"audit_event": 2, "audit_batch": 2, "audit_cut": 2}
    else:
        query = (
            "SELECT c.relname, count(*) FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE c.relname LIKE 'audit_%' AND NOT t.tgisinternal AND t.tgenabled <> 'D' "
            "AND p.prosrc LIKE '%RAISE EXCEPTION ''the audit trail is append-only''%' GROUP BY c.relname"
        )
        expected = {"audit_event": 2, "audit_batch": 2, "audit_cut": 1}
    cutting = db.session.scalar(select(AuditSealing.cutting).where(AuditSealing.id == 1))
    return not cutting and {row[0]: row[1] for row in db.session.execute(text(query))} == expected
