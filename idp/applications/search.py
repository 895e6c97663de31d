"""Finding applications by a part of their name or description, by the index that migration 0016 has made.

Who searches pays for what is found, and not for what there is: the index names all that can be meant, or says that they are many.
"""

from sqlalchemy import ColumnElement, and_, bindparam, or_, text

from idp import runtime
from idp.applications.models import Application
from idp.db import db, holds
from idp.realms import Realm

FEW = 1_000
"""Applications up to which the index names those that may be meant. What more of them contain is soon found in any order."""

SHORTEST = 3
"""Letters that the index is made of."""

_FTS5 = text("SELECT rowid FROM application_text WHERE application_text MATCH :text LIMIT :few")
_GIN = text(
    "SELECT id FROM application WHERE grams_of(name || chr(10) || description) @> :grams AND realm_id = :realm LIMIT :few"
).bindparams(bindparam("grams"))


def containing(realm: Realm, wanted: str) -> ColumnElement[bool]:
    """Return the condition that the name or the description of an application contains a text, in whatever case.

    One or two letters, which are in most descriptions anyway, are looked for in names alone.
    """
    if len(wanted) < SHORTEST:
        return holds(Application.name, wanted)
    found = or_(holds(Application.name, wanted), holds(Application.description, wanted))
    ids = _candidates(realm, wanted)
    return found if ids is None else and_(Application.id.in_(ids), found)


def _candidates(realm: Realm, wanted: str) -> list[int] | None:
    """Return the row numbers of all applications of a realm that can contain a text, or more; None for any."""
    if not wanted.isascii() or not wanted.isprintable():
        return None
    if db.engine.dialect.name == "postgresql":
        folded = wanted.lower()
        grams = sorted({folded[place : place + SHORTEST] for place in range(len(folded) - SHORTEST + 1)})
        rows = db.session.execute(_GIN, {"grams": grams, "realm": realm.id, "few": FEW + 1})
    elif _has_text():
        phrase = '"' + wanted.replace('"', '""') + '"'
        rows = db.session.execute(_FTS5, {"text": phrase, "few": FEW + 1})
    else:
        return None
    ids = [row[0] for row in rows]
    return ids if len(ids) <= FEW else None


def _has_text() -> bool:
    """Tell whether this database has the table of FTS5: one that was set up by a build of SQLite without it has none."""
    known: dict[str, bool] = runtime.current().extensions.setdefault("application text", {})
    if "is there" not in known:
        query = text("SELECT 1 FROM sqlite_master WHERE name = 'application_text'")
        known["is there"] = db.session.execute(query).first() is not None
    return known["is there"]
