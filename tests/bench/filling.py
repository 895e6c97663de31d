"""A million applications and ten million keys in minutes: rows that are copied, within PostgreSQL, from ones that the server has made.

One of each kind is made by the domains. All others have its columns, but for those that tell them apart: so whatever a later version
adds to a table, these rows have it too.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import insert, text

from idp import access, apikeys, applications, clock, crypto, manifest, realms, runtime, trail, vault
from idp.access import Grant, Role
from idp.apikeys import ApiKey, ApiKeySheet
from idp.applications import Application, ApplicationSecret, ApplicationSheet
from idp.db import commit, db
from idp.keys import SigningKey
from idp.realms import Realm

LARGE = "acme"
"""The realm that has a tenth of everything."""

SECRET = "bench-secret-0123456789-0123456789"
"""What every application has for a secret."""

ROLES = ("researcher", "viewer")
"""What every application holds on its realm."""

TEAMS = (
    "billing",
    "genomics",
    "imaging",
    "ingest",
    "ledger",
    "mapping",
    "payments",
    "search",
    "telemetry",
    "vision",
    "warehouse",
)
WHAT = ("api", "batch", "bot", "exporter", "importer", "scheduler", "worker")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    applications: int = 1_000_000
    realms: int = 10_000
    keys: int = 10_000_000
    known: int = 200_000
    """Keys that somebody knows; of the others there is only a hash of nothing."""

    def realm_of(self, number: int) -> str:
        """Return the name of the realm of an application: every tenth is the large one's."""
        return LARGE if number % 10 == 0 else f"realm-{(number - number // 10) % self.realms}"

    def owner_of(self, key: int) -> int:
        """Return the number of the application that has a key."""
        return (key - 1) % self.applications + 1


def name_of(number: int) -> str:
    """Return the name of an application, from 1."""
    return f"{TEAMS[number % len(TEAMS)]}-{WHAT[number % len(WHAT)]}-{number:07}"


def is_enabled(number: int) -> bool:
    """Tell whether an application is enabled, as nearly all are."""
    return number % 50 != 7


def key_of(number: int) -> str:
    """Return the plain text of a key that somebody knows, from 1."""
    body = f"idp_ak_{number * _SPREAD % 2**32:08x}{crypto.base62(number, 43)}"
    return body + crypto.checksum(body)


_SPREAD = 2_654_435_761
"""Odd, so that no two numbers below 2^32 meet."""

_NAME = f"(ARRAY{list(TEAMS)})[i % {len(TEAMS)} + 1] || '-' || (ARRAY{list(WHAT)})[i % {len(WHAT)} + 1] || '-' || lpad(i::text, 7, '0')"
_PUBLIC_PART = f"'idp_ak_' || lpad(to_hex(n * {_SPREAD} % 4294967296), 8, '0')"
_SOME_TIME = "now() - random() * interval '700 days'"
_UID = "gen_random_uuid()::text"
_REALM = "CASE WHEN i % 10 = 0 THEN :large ELSE 'realm-' || (i - i / 10) % :realms END"
_OF_REALM = f"r.name = ({_REALM})"


def fill(sizes: Sizes, tell: Tell) -> None:
    """Fill a PostgreSQL that is set up, within the context of an application."""
    ids = _make_first_ones()
    _make_realms(sizes.realms, tell)
    if sizes.keys:
        _hash_known(min(sizes.known, sizes.keys))
    with _without_indexes(Application, ApplicationSecret, Grant, ApiKey, tell=tell):
        for first in range(1, sizes.applications + 1, _PIECE):
            last = min(first + _PIECE - 1, sizes.applications)
            _make_applications(sizes, ids, first, last)
            tell(f"{last:,} applications")
        for first in range(1, sizes.keys + 1, _PIECE):
            last = min(first + _PIECE - 1, sizes.keys)
            _make_keys(sizes, ids, first, last)
            tell(f"{last:,} API keys")
    _execute("DROP TABLE IF EXISTS known_key")
    _execute("VACUUM ANALYZE")
    tell("statistics are gathered")


_PIECE = 500_000
"""Rows of one statement."""


def _make_first_ones() -> dict[str, int]:
    """Make one of everything by the domains, and return their row numbers by table."""
    large = realms.get_realm(LARGE)
    application = applications.create_application(large, "first-of-many", ApplicationSheet(description=_TEXT))
    holder = applications.holder_of(application)
    secret, _ = applications.add_secret(large, application, "main", plain_secret=SECRET)
    access.grant_role(large, holder, ROLES[0])
    key = apikeys.create_key(large, holder, ApiKeySheet(name="first-of-many"), never=True, may_exceed=True).key
    db.session.flush()
    grant = db.session.query(Grant).filter_by(holder_kind="application", holder_id=application.id).one()
    ids = {row.__tablename__: row.id for row in (application, secret, grant, key)}
    commit()
    return ids


_TEXT = "Reads what others have written, and writes down what it thinks of that."


def _make_realms(count: int, tell: Tell) -> None:
    """Make realms that have the same signing keys, under uids of their own: making them anew takes long."""
    first = manifest.create_empty_realm("realm-0")
    pairs = {key.algorithm: (_plain(first, key), key) for key in db.session.query(SigningKey).filter_by(realm_id=first.id)}
    first_id = first.id
    commit()
    values = {"name": "'realm-' || i", "contract_number": "t.contract_number + i", "created_at": _SOME_TIME}
    _copy(Realm, first_id, values, "generate_series(1, CAST(:last AS integer)) i", "true ORDER BY i", last=count - 1)
    roles = {"realm_id": "r.id", "created_at": "r.created_at"}
    _copy(Role, None, roles, "realm r", f"t.realm_id = {first_id} AND r.name LIKE 'realm-%' AND r.id <> {first_id}")
    made = db.session.query(Realm).filter(Realm.name.startswith("realm-"), Realm.id != first_id).order_by(Realm.id).all()
    rows = []
    for realm in made:
        trail.begin_trail(realm.name)
        for algorithm, (plain, key) in pairs.items():
            uid = crypto.ordered_uid(clock.timestamp())
            sealed = vault.seal(plain, context=f"signing key {uid} of realm {realm.uid}")
            same = {"realm_id": realm.id, "algorithm": algorithm, "active_from": key.active_from}
            rows.append({**same, "uid": uid, "sealed_private_key": sealed, "public_jwk": {**key.public_jwk, "kid": uid}})
    db.session.execute(insert(SigningKey), rows)
    commit()
    tell(f"{count:,} organisations")


def _plain(realm: Realm, key: SigningKey) -> bytes:
    return vault.unseal(key.sealed_private_key, context=f"signing key {key.uid} of realm {realm.uid}")


def _hash_known(count: int) -> None:
    """Write down the hashes of the keys that somebody knows."""
    _execute("CREATE UNLOGGED TABLE known_key (number bigint PRIMARY KEY, hash bytea)")
    pepper = vault.pepper(vault.newest_pepper())
    for first in range(1, count + 1, 20_000):
        numbers = range(first, min(first + 20_000, count + 1))
        rows = [{"number": number, "hash": crypto.keyed_hash(pepper, key_of(number))} for number in numbers]
        db.session.execute(text("INSERT INTO known_key VALUES (:number, :hash)"), rows)
    commit()


def _make_applications(sizes: Sizes, ids: Mapping[str, int], first: int, last: int) -> None:
    """Make applications with a secret and two roles each."""
    bounds = {"large": LARGE, "realms": sizes.realms, "first": first, "last": last}
    used = f"CASE WHEN i % 4 = 0 THEN NULL ELSE {_SOME_TIME} END"
    values = {
        "realm_id": "r.id",
        "name": _NAME,
        "created_at": _SOME_TIME,
        "updated_at": "now()",
        "enabled": "i % 50 <> 7",
        "token_count": "CASE WHEN i % 4 = 0 THEN 0 ELSE (random() ^ 3 * 100000)::bigint END",
        "last_used_at": used,
    }
    series = "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) i"
    _copy(Application, ids["application"], values, f"{series} JOIN realm r ON {_OF_REALM}", "true ORDER BY i", **bounds)
    begin = ids["application"]
    numbers = f"(SELECT * FROM application WHERE id BETWEEN {begin + first} AND {begin + last}) a"
    _copy(ApplicationSecret, ids["application_secret"], {"application_id": "a.id", "created_at": "a.created_at"}, numbers)
    for role in ROLES:
        holder = {"realm_id": "a.realm_id", "holder_id": "a.id", "holder_name": "a.name", "role_id": "o.id"}
        _copy(
            Grant, ids["access_grant"], holder, f"{numbers} JOIN role o ON o.realm_id = a.realm_id AND o.name = :role", role=role
        )
    commit()


def _make_keys(sizes: Sizes, ids: Mapping[str, int], first: int, last: int) -> None:
    """Make keys of all applications in turn; some keys have expired, others were revoked."""
    values = {
        "realm_id": "a.realm_id",
        "application_id": "a.id",
        "name": "'key-' || n % 1000",
        "public_part": _PUBLIC_PART,
        "secret_hash": "coalesce(k.hash, sha256(n::text::bytea))",
        "created_at": _SOME_TIME,
        "updated_at": "now()",
        "expires_at": "CASE WHEN k.hash IS NULL AND n % 3 = 0 THEN now() + (random() - 0.1) * interval '300 days' END",
        "revoked_at": "CASE WHEN k.hash IS NULL AND n % 50 = 3 THEN now() - random() * interval '300 days' END",
        "revoke_reason": "CASE WHEN k.hash IS NULL AND n % 50 = 3 THEN 'no longer needed' ELSE '' END",
        "last_used_at": f"CASE WHEN n % 3 = 0 THEN {_SOME_TIME} END",
        "use_count": "CASE WHEN n % 3 = 0 THEN (random() ^ 3 * 100000)::bigint ELSE 0 END",
    }
    begin = ids["application"]
    source = (
        "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n "
        f"JOIN application a ON a.id = {begin} + (n - 1) % CAST(:applications AS bigint) + 1 LEFT JOIN known_key k ON k.number = n"
    )
    _copy(ApiKey, ids["api_key"], values, source, first=first, last=last, applications=sizes.applications)
    commit()


def _copy(table: Any, like: int | None, values: Mapping[str, str], source: str, where: str = "true", **bounds: Any) -> None:
    """Insert rows that are like one, but for some columns.

    :param like: number of that row; None for all that `where` names.
    :param values: what the other columns are, as SQL.
    :param source: what there is a row for.
    """
    columns = [column.name for column in table.__table__.columns if column.name != "id"]
    told = {"uid": _UID, **values}
    chosen = ", ".join(told.get(name, f"t.{name}") for name in columns)
    of_one = "true" if like is None else f"t.id = {like}"
    name = table.__tablename__
    # of constants and columns of models alone
    query = f"INSERT INTO {name} ({', '.join(columns)}) SELECT {chosen} FROM {source} JOIN {name} t ON {of_one} WHERE {where}"
    db.session.execute(text("SET LOCAL statement_timeout = 0"))
    # what it refers to is there
    db.session.execute(text("SET LOCAL session_replication_role = replica"))
    db.session.execute(text(query), bounds)


@contextmanager
def _without_indexes(*tables: Any, tell: Tell) -> Iterator[None]:
    """Leave out indexes and what must be unique, and build them again afterwards: sorted at once, which is much faster."""
    again: list[str] = []
    for name in (table.__tablename__ for table in tables):
        unique = _execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'u'",
            name,
        )
        again += [f"ALTER TABLE {name} ADD CONSTRAINT {each} {definition}" for each, definition in unique]
        for each, _ in unique:
            _execute(f"ALTER TABLE {name} DROP CONSTRAINT {each}")
        indexes = _execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
            "WHERE indrelid = %s::regclass AND NOT indisprimary",
            name,
        )
        again += [definition for _, definition in indexes]
        for each, _ in indexes:
            _execute(f"DROP INDEX {each}")
    yield
    for definition in again:
        _execute(definition)
        tell(definition.replace(" ON public.", " ON ")[:100])


def _execute(statement: str, *bounds: Any) -> list[Any]:
    """Carry out a statement by itself, for as long as it takes."""
    with psycopg.connect(runtime.current().settings.database_url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        cursor = connection.execute(statement.encode(), bounds)
        return cursor.fetchall() if cursor.description else []
