"""Fill a realm with realistic data: `python -m tests.seed --help`.

Names and descriptions are as long as they may be, some things are disabled, expired, revoked or forgotten, and the trail covers
90 days. What is many is inserted into the tables of the domains; what is few is made by the domains themselves. The same seed
makes the same things each time, but for the present moment, which all times are counted from.
"""

import argparse
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, text

from idp import (
    access,
    audit,
    clock,
    crypto,
    federation,
    keysets,
    manifest,
    protected_apis,
    realms,
    setup,
    users,
    vault,
)
from idp.access import Grant, Project, Role
from idp.apikeys import ApiKey
from idp.app import close_app
from idp.applications import Application, ApplicationSecret
from idp.audit import AuditEvent, Tag, event_values
from idp.db import commit, db
from idp.errors import IdpError, InvalidValueError
from idp.federation import FederatedPerson, LineSheet
from idp.keysets import Keyset, Lease
from idp.personal_tokens import PersonalToken
from idp.realms import Realm
from idp.registrations.models import RegistrationToken
from idp.sessions import UserSession
from idp.settings import Settings
from idp.users import Group, Membership, User
from idp.users.passwords import HASHER
from tests.factories import PASSWORD
from tests.forking import PROJECT

SECRET = "seed-secret-0123456789-0123456789"
"""What every application of the data has for a secret."""

ADMINISTRATOR, OPERATOR = "ann@example.test", "root@example.test"

BATCH = 10_000
"""Rows of one statement."""

PAST = timedelta(days=90)
"""How far back the trail goes."""

LONGEST_NAME = 64
LONGEST_TEXT = 500

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    applications: int = 500
    users: int = 300
    keys: int = 400
    events: int = 20_000
    groups: int = 40
    projects: int = 60
    roles: int = 20
    keysets: int = 20
    apis: int = 12
    sessions: int = 120
    tokens: int = 80
    """Personal tokens."""
    leases: int = 90
    registration_tokens: int = 12


class Words:
    """Names, texts and times, as people write them, from one source of randomness."""

    def __init__(self, seed: str, now: datetime) -> None:
        """Begin a new row of them."""
        self._random, self.now = random.Random(seed), now

    def uid(self) -> str:
        """Return a uid."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def share(self, part: float) -> bool:
        """Return true in that part of all cases."""
        return self._random.random() < part

    def one(self, *of: Any) -> Any:
        """Return one of these."""
        return self._random.choice(of)

    def of(self, many: Sequence[Any]) -> Any:
        """Return one of many."""
        return self._random.choice(many)

    def number(self, below: int) -> int:
        """Return a number from 0; small ones more often, as a few applications do most of what is done."""
        return int(below * self._random.random() ** 3)

    def some(self, of: Sequence[Any], most: int) -> list[Any]:
        """Return up to so many different ones, and one at least."""
        return self._random.sample(of, min(len(of), self._random.randint(1, most)))

    def before(self, days: float) -> datetime:
        """Return a time within the last days."""
        return self.now - timedelta(seconds=self._random.random() * days * 86_400)

    def after(self, days: float) -> datetime:
        """Return a time within the next days."""
        return self.now + timedelta(seconds=60 + self._random.random() * days * 86_400)

    def name(self, number: int) -> str:
        """Return a name that no other number gets: short, long, or without a place to break it, up to 64 characters."""
        team, what, does = self.one(*_TEAMS), self.one(*_WHAT), self.one(*_DOES)
        match number % 5:
            case 0:
                made = f"{team}-{what}"
            case 1:
                made = f"{team}-{what}-{does}-{self.one(*_PLACES)}"
            case 2:
                made = f"{team}_{what}_{does}_{self.one(*_PLACES)}".replace("-", "_")
            case 3:
                made = f"{team}{what}{does}".replace("-", "").ljust(LONGEST_NAME, "x")
            case _:
                made = f"{team}-{what}-{does}-{self.one(*_STAGES)}-for-{self.one(*_TEAMS)}-in-{self.one(*_PLACES)}"
        end = f"-{number:06}"
        return made[: LONGEST_NAME - len(end)].rstrip("-_") + end

    def text(self) -> str:
        """Return a description: none, a sentence, or as much as there is room for."""
        long = self._random.random()
        if long < 0.2:
            return ""
        sentences = [
            f"{self.one('Collects', 'Checks', 'Moves', 'Publishes', 'Reconciles')} {self.one(*_WHAT)} {self.one('of', 'for')} "
            f"{self.one(*_TEAMS)} {self.one('every night', 'every hour', 'on demand', 'after each release')}."
            for _ in range(1 if long < 0.8 else 12)
        ]
        return " ".join(sentences)[:LONGEST_TEXT].rstrip()

    def shown(self) -> str:
        """Return a display name; none in most cases."""
        if self.share(0.5):
            return ""
        return f"{self.one(*_TEAMS)} {self.one(*_WHAT)} ({self.one(*_PLACES)}), {self.one(*_STAGES)}".capitalize()

    def person(self, number: int) -> tuple[str, str, str]:
        """Return the address, the first and the last name of a person."""
        first, last = self.one(*_FIRST), f"{self.one(*_LAST)}-{self.one(*_LAST)}" if number % 3 else self.one(*_LAST)
        plain = f"{first}.{last}".encode("ascii", "ignore").decode().lower().replace(" ", "").replace("'", "")
        domain = "example.test" if number % 4 else "department-of-applied-research-and-development.subsidiary.example.test"
        return f"{plain[:56]}.{number:06}@{domain}", first, last

    def address(self) -> str:
        """Return an address of the internet, kept for documentation (RFC 5737, RFC 3849)."""
        if self.share(0.2):
            return f"2001:db8:{self._random.getrandbits(16):x}:{self._random.getrandbits(16):x}::{self._random.getrandbits(16):x}"
        return f"{self.one('192.0.2', '198.51.100', '203.0.113')}.{self._random.randrange(1, 255)}"


_TEAMS = (
    "billing", "claims", "customer-data-platform", "finance", "genomics", "logistics", "marketing-automation", "payroll",
    "radiology", "risk-and-compliance", "search", "storefront", "supply-chain-planning", "telemetry", "vision", "warehouse",
)  # fmt: skip # a list of words
_WHAT = (
    "archive", "catalogue", "data-lake", "events", "experiments", "feature-store", "forecasts", "images", "invoices",
    "model-registry", "orders", "reports", "schedules", "sensor-readings", "transactions", "transcripts",
)  # fmt: skip # a list of words
_DOES = (
    "backup", "exporter", "importer", "ingestion-worker", "mirror", "nightly-build", "notifier", "reconciliation",
    "scheduler", "training", "validation",
)  # fmt: skip # a list of words
_PLACES = ("eu-central-1", "eu-west-2", "us-east-1", "ap-southeast-2", "sa-east-1", "on-premises")
_STAGES = ("production", "staging", "preview", "test")
_FIRST = (
    "Ana", "Bartholomew", "Chiara", "Dmitri", "Élodie", "Femke", "Grzegorz", "Hwa-young", "Ingeborg", "João", "Kwabena",
    "Ljubomir", "Maximiliane", "Nguyễn", "Oluwaseun", "Þórdís", "Siobhán", "Wilhelmina",
)  # fmt: skip # a list of words
_LAST = (
    "Andersson", "Brzęczyszczykiewicz", "Castellanos", "de la Cruz", "Featherstonehaugh", "García Márquez", "Haraldsdóttir",
    "Kowalczyk", "Li", "Mbeki", "O'Shaughnessy", "Papadopoulos", "Ramachandran", "Schwarzenberg", "Wolfeschlegelstein", "Öztürk",
)  # fmt: skip # a list of words


def fill(realm: Realm, sizes: Sizes, *, seed: int = 1, tell: Tell = lambda _line: None) -> None:
    """Fill a realm, and commit it.

    :param realm: one that has not been filled with this seed.
    :param tell: called with what is being made.
    """
    words = Words(f"{seed} {realm.name}", clock.now())
    if db.engine.dialect.name == "sqlite":
        # indexes of a million random values are written in the memory that they fit into, and once
        db.session.execute(text("PRAGMA cache_size = -600000"))
        db.session.execute(text("PRAGMA wal_autocheckpoint = 100000"))
    tell("Roles, projects and protected APIs ...")
    roles = _add_roles(realm, words, sizes.roles)
    projects = _add_projects(realm, words, sizes.projects)
    for number in range(sizes.apis):
        name = words.name(number)
        rules = [
            {"methods": ["GET", "POST"], "path": f"/api/v1/{words.one(*_WHAT)}/{each}", "roles": words.some(sorted(roles), 2)}
            for each in range(4)
        ]
        sheet = protected_apis.ProtectedApiSheet.read(
            {"audience": f"https://{name}.example.test".replace("_", "-"), "rules": rules}
        )
        protected_apis.put_api(realm, name, sheet)
    commit()
    tell(f"{sizes.applications:,} applications with their secrets ...")
    programs = _add_applications(realm, words, sizes.applications)
    _add_secrets(words, list(programs.values()))
    _add_federation(realm, words, list(programs))
    tell(f"{sizes.users:,} users, {sizes.groups:,} groups, sessions and personal tokens ...")
    people = _add_users(realm, words, sizes.users)
    _link_people(realm, people)
    groups = _add_groups(realm, words, sizes.groups, list(people.values()))
    _add_sessions(realm, words, sizes, list(people.values()))
    commit()
    tell("Grants ...")
    for kind, holders in (("application", programs), ("user", people), ("group", groups)):
        _insert(Grant, _grants(realm, words, kind, holders, list(roles.values()), list(projects.values())))
    commit()
    tell(f"{sizes.keys:,} API keys ...")
    _insert(ApiKey, _keys(realm, words, sizes.keys, list(people.values()), list(programs.values())))
    commit()
    tell(f"{sizes.keysets:,} keysets ...")
    for number in range(sizes.keysets):
        sheet = keysets.KeysetSheet.read(
            {"name": words.name(number), "description": words.text(), "projects": words.some(sorted(projects), 2)}
        )
        values = [("pub", "AKIA-of-the-seed"), ("pvt", "a-value-of-the-seed")]
        keysets.create_keyset(realm, "provider", "aws", sheet, values)
    commit()
    _insert(Lease, _leases(realm, words, sizes.leases, list(programs.items())))
    _insert(RegistrationToken, _registration_tokens(realm, words, sizes.registration_tokens))
    commit()
    tell(f"{sizes.events:,} audit events ...")
    _add_events(realm, words, sizes.events, (list(programs), list(people)), tell)
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("SET LOCAL statement_timeout = 0"))
    db.session.execute(text("ANALYZE"))
    commit()


def _insert(table: Any, rows: Iterator[dict[str, Any]]) -> None:
    while some := list(islice(rows, BATCH)):
        db.session.execute(insert(table.__table__), some)


def _numbers(table: Any, realm: Realm) -> dict[str, int]:
    """Return the row numbers of what a realm has of a kind, by its name."""
    rows = db.session.execute(select(table.name, table.id).where(table.realm_id == realm.id).order_by(table.id))
    return {row.name: row.id for row in rows}


def _add_roles(realm: Realm, words: Words, count: int) -> dict[str, int]:
    made = [
        {
            "realm_id": realm.id,
            "name": words.name(number),
            "uid": words.uid(),
            "description": words.text(),
            "permissions": words.some(sorted(access.PERMISSIONS), 6) if number % 2 else [],
            "created_by": f"user:{ADMINISTRATOR}",
            "created_at": words.before(400),
        }
        for number in range(count)
    ]
    _insert(Role, iter(made))
    return _numbers(Role, realm)


def _add_projects(realm: Realm, words: Words, count: int) -> dict[str, int]:
    made = [
        {
            "realm_id": realm.id,
            "name": words.name(number),
            "uid": words.uid(),
            "display_name": words.shown(),
            "description": words.text(),
            "created_by": f"user:{ADMINISTRATOR}",
            "created_at": words.before(400),
        }
        for number in range(count)
    ]
    _insert(Project, iter(made))
    return _numbers(Project, realm)


def _add_applications(realm: Realm, words: Words, count: int) -> dict[str, int]:
    def rows() -> Iterator[dict[str, Any]]:
        for number in range(count):
            created = words.before(700)
            used = None if words.share(0.1) else words.before(120 if words.share(0.3) else 3)
            yield {
                "realm_id": realm.id,
                "name": words.name(number),
                "uid": words.uid(),
                "display_name": words.shown(),
                "description": words.text(),
                "enabled": not words.share(0.06),
                "kind": words.one("machine", "machine", "machine", "machine", "web", "native", "browser"),
                "audience": [f"https://{words.one(*_WHAT)}.example.test"] if words.share(0.7) else [],
                "resources": [],
                "signing_algorithm": words.one(None, None, "ES256", "RS256"),
                "token_count": words.number(1_000_000) if used else 0,
                "last_used_at": max(used, created) if used else None,
                "created_by": f"user:{ADMINISTRATOR}",
                "created_at": created,
                "updated_at": created,
            }

    _insert(Application, rows())
    commit()
    return _numbers(Application, realm)


def _add_federation(realm: Realm, words: Words, programs: Sequence[str]) -> None:
    """Have trusted issuers vouch for some of the applications."""
    issuers = {"github": "repository_id", "buildkite": "pipeline_id", "terraform": "terraform_workspace_id"}
    for preset in issuers:
        sheet = federation.TrustedIssuerSheet.read({"preset": preset, "description": "Where our programs run."})
        federation.create_issuer(realm, preset, sheet)
    for number, name in enumerate(programs[: len(programs) // 4][:200]):
        preset = words.one(*issuers)
        lines = [LineSheet(claim=issuers[preset], value=str(10_000 + number))]
        if preset == "github":
            lines.append(LineSheet(claim="ref", value="refs/heads/*"))
        rule = {"issuer": preset, "application": name, "lines": lines, "mode": "audit" if number % 9 == 8 else "enforce"}
        federation.create_rule(realm, f"rule-{number:03}", federation.FederationRuleSheet.read(rule), frozen=None)
    commit()


def _link_people(realm: Realm, people: Mapping[str, int]) -> None:
    """Have a sign-in server know some of the people, by subjects that are about as long as they may be."""
    sheet = federation.TrustedIssuerSheet.read({"issuer": "https://login.example", "description": "Where our people sign in."})
    issuer = federation.create_issuer(realm, "login", sheet)
    known = [number for name, number in people.items() if "@" in name][::3][:2_000]
    _insert(
        FederatedPerson,
        (
            {"realm_id": realm.id, "issuer_id": issuer.id, "user_id": user, "subject": f"00u{number:06}" + "a1b2c3d4" * 30}
            for number, user in enumerate(known)
        ),
    )


def _add_secrets(words: Words, numbers: list[int]) -> None:
    """Give each application a secret that works, and some of them further ones."""
    pepper_id, secret_hash = vault.hash_secret(SECRET)

    def secret(application_id: int, name: str, **fields: Any) -> dict[str, Any]:
        created = words.before(500)
        return {
            "application_id": application_id,
            "name": name,
            "uid": words.uid(),
            "created_at": created,
            "public_part": "" if words.share(0.1) else f"idp_cs_{words.uid()[:8]}",
            "pepper_id": pepper_id,
            "secret_hash": secret_hash,
            "single_use": False,
            "shown": True,
            "expires_at": None,
            "retired_at": None,
            "last_used_at": max(created, words.before(200)) if words.share(0.9) else None,
            "last_used_address": words.address(),
            "use_count": words.number(100_000),
        } | fields

    def rows() -> Iterator[dict[str, Any]]:
        for number, application_id in enumerate(numbers):
            yield secret(application_id, "main")
            if number % 3 == 0:
                yield secret(application_id, f"rotated-{words.one(*_STAGES)}", retired_at=words.before(60))
            if number % 5 == 0:
                yield secret(application_id, words.name(number), expires_at=words.after(300) if number % 2 else words.before(30))
            if number % 50 == 0:
                yield secret(application_id, "ending", expires_at=words.after(13))
                yield secret(application_id, "shared-with-the-other-team")
                yield secret(application_id, "imported")

    there = set(db.session.scalars(select(ApplicationSecret.application_id).distinct()))
    numbers = [number for number in numbers if number not in there]
    _insert(ApplicationSecret, rows())
    commit()


def _add_users(realm: Realm, words: Words, count: int) -> dict[str, int]:
    def rows() -> Iterator[dict[str, Any]]:
        for number in range(count):
            created, is_machine = words.before(900), number % 12 == 0
            address, first, last = words.person(number)
            yield {
                "realm_id": realm.id,
                "kind": "machine" if is_machine else "person",
                "name": words.name(number) if is_machine else address,
                "email": "" if is_machine else address,
                "email_verified": not is_machine,
                "first_name": "" if is_machine else first,
                "last_name": "" if is_machine else last,
                "uid": words.uid(),
                "enabled": not words.share(0.08),
                "last_sign_in_at": None if words.share(0.2) else words.before(200),
                "created_by": f"user:{ADMINISTRATOR}",
                "created_at": created,
                "updated_at": created,
            }

    _insert(User, rows())
    return _numbers(User, realm)


def _add_groups(realm: Realm, words: Words, count: int, people: list[int]) -> dict[str, int]:
    made = [
        {
            "realm_id": realm.id,
            "name": words.name(number),
            "uid": words.uid(),
            "display_name": words.shown(),
            "description": words.text(),
            "created_at": words.before(400),
        }
        for number in range(count)
    ]
    _insert(Group, iter(made))
    numbers = _numbers(Group, realm)
    there = {tuple(row) for row in db.session.execute(select(Membership.group_id, Membership.user_id))}
    # the first group has most people in it, as one has that everybody is put into
    for place, group_id in enumerate(numbers.values()):
        members = words.some(people, len(people) if place == 0 else 30) if people else []
        pairs = ((group_id, user_id) for user_id in members if (group_id, user_id) not in there)
        _insert(Membership, ({"group_id": group, "user_id": user} for group, user in pairs))
    return numbers


def _add_sessions(realm: Realm, words: Words, sizes: Sizes, people: list[int]) -> None:
    pepper_id, token_hash = vault.hash_secret(SECRET)

    def sessions() -> Iterator[dict[str, Any]]:
        for _ in range(sizes.sessions):
            begun = words.before(0.4)
            yield {
                "realm_id": realm.id,
                "user_id": words.of(people),
                "uid": words.uid(),
                "created_at": begun,
                "auth_method": "password",
                "expires_at": begun + timedelta(hours=12),
                "token_jti": words.uid().replace("-", ""),
                "refreshed_at": max(begun, words.before(0.01)),
                "ended_at": None,
                "address": words.address(),
                "agent": words.one("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "curl/8.5.0"),
            }

    def tokens() -> Iterator[dict[str, Any]]:
        for _ in range(sizes.tokens):
            yield {
                "realm_id": realm.id,
                "user_id": words.of(people),
                "uid": words.uid(),
                "created_at": words.before(300),
                "pepper_id": pepper_id,
                "token_hash": token_hash,
                "made_with": "",
                "expires_at": words.after(300),
                "created_from": words.address(),
            }

    if people:
        _insert(UserSession, sessions())
        _insert(PersonalToken, tokens())


def _grants(
    realm: Realm, words: Words, kind: str, holders: dict[str, int], roles: list[int], projects: list[int]
) -> Iterator[dict[str, Any]]:
    """Return grants: one on the realm for most, some on projects, some that end soon or have ended."""
    there = set(db.session.scalars(select(Grant.holder_id).where(Grant.holder_kind == kind)))
    for name, number in holders.items():
        if number in there:
            continue
        wanted = [(role, None) for role in (words.some(roles, 2) if words.share(0.6) else [])]
        if projects and words.share(0.5):
            wanted += [(words.of(roles), project) for project in words.some(projects, 6)]
        for role, project in wanted:
            until = words.after(25) if words.share(0.05) else words.before(20) if words.share(0.05) else None
            yield {
                "realm_id": realm.id,
                "holder_kind": kind,
                "holder_id": number,
                "holder_name": name,
                "role_id": role,
                "project_id": project,
                "until": until,
                "uid": words.uid(),
                "created_at": words.before(300),
                "granted_by": f"user:{ADMINISTRATOR}",
            }


def _keys(realm: Realm, words: Words, count: int, people: list[int], programs: list[int]) -> Iterator[dict[str, Any]]:
    """Return API keys in every state, of people and of applications, two of three people's."""
    pepper_id, secret_hash = vault.hash_secret(SECRET)
    for number in range(count):
        is_of_person = bool(people) and (number % 3 != 0 or not programs)
        created = words.before(300)
        yield {
            "realm_id": realm.id,
            "user_id": words.of(people) if is_of_person else None,
            "application_id": None if is_of_person else words.of(programs),
            "name": words.name(number),
            "description": words.text(),
            "uid": words.uid(),
            "public_part": f"idp_ak_{crypto.base62(number, 5)}{words.uid()[:3]}",
            "pepper_id": pepper_id,
            "secret_hash": secret_hash,
            "expires_at": words.one(None, words.after(13), words.after(300), words.after(300), words.before(60)),
            "active": not words.share(0.05),
            "revoked_at": words.before(30) if words.share(0.08) else None,
            "revoke_reason": "It was found in a public repository.",
            "roles": [],
            "projects": [],
            "addresses": ["192.0.2.0/24"] if words.share(0.2) else [],
            "rate_per_minute": words.one(None, 60),
            "created_by": f"user:{ADMINISTRATOR}",
            "created_at": created,
            "updated_at": created,
            "last_used_at": None if words.share(0.15) else max(created, words.before(150)),
            "last_used_address": words.address(),
            "use_count": words.number(10_000),
        }


def _leases(realm: Realm, words: Words, count: int, programs: list[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    """Return leases of the realm's keysets, a third of them over."""
    lent = db.session.execute(select(Keyset.id, Keyset.uid, Keyset.name).where(Keyset.realm_id == realm.id)).all()
    for number in range(count if lent and programs else 0):
        (name, application_id), (keyset_id, uid, keyset_name), begun = words.of(programs), words.of(lent), words.before(0.2)
        yield {
            "realm_id": realm.id,
            "uid": words.uid(),
            "created_at": begun,
            "keyset_id": keyset_id,
            "keyset_uid": uid,
            "keyset_name": keyset_name,
            "version": 1,
            "application_id": application_id,
            "client_id": name,
            "application_uid": words.uid(),
            "reason": words.text(),
            "address": words.address(),
            "expires_at": begun + timedelta(hours=8),
            "ended_at": max(begun, words.before(0.1)) if number % 3 == 0 else None,
            "end_reason": "given back" if number % 3 == 0 else "",
        }


def _registration_tokens(realm: Realm, words: Words, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "realm_id": realm.id,
            "uid": words.uid(),
            "created_at": words.before(60),
            "description": words.text(),
            "public_part": f"idp_rt_{words.uid()[:8]}",
            "token_hash": (words.uid() + words.uid()).replace("-", ""),
            "kinds": ["web", "native"],
            "scopes": ["openid"],
            "most": 5,
            "used": number % 6,
            "expires_at": words.after(60) if number % 4 else words.before(5),
            "revoked_at": words.before(5) if number % 5 == 0 else None,
            "created_by": f"user:{ADMINISTRATOR}",
        }


def _add_events(realm: Realm, words: Words, count: int, names: tuple[list[str], list[str]], tell: Tell) -> None:
    """Add events in the order of their time, and what is counted of them beside the trail."""
    done, events = 0, _events(realm, words, count, *names)
    while rows := list(islice(events, BATCH)):
        db.session.execute(insert(AuditEvent.__table__), rows)
        audit.count_events(rows)
        commit()
        done += len(rows)
        if done % (10 * BATCH) == 0:
            tell(f"  {done:,} of {count:,}")


def _events(realm: Realm, words: Words, count: int, programs: list[str], people: list[str]) -> Iterator[dict[str, Any]]:
    begin, step = words.now - PAST, PAST / max(count, 1)
    programs, people = programs or ["nothing"], people or ["nobody"]
    acts = list(islice(_acts(words, programs, people), 5_000))  # what is written again and again costs less to make up once
    for number in range(count):
        tag, actor, target, outcome, detail = words.of(acts)
        if tag is Tag.TOKEN_ISSUE:
            target = f"token:{words.uid()}"
        yield event_values(begin + number * step, realm.name, tag, actor, target, words.address(), outcome, **detail)


def _acts(words: Words, programs: list[str], people: list[str]) -> Iterator[tuple[Tag, str, str, str, dict[str, Any]]]:
    while True:
        program, person = programs[words.number(len(programs))], people[words.number(len(people))]
        kind = words.number(1_000)
        if kind < 880:
            yield Tag.TOKEN_ISSUE, f"application:{program}", "", "success", {}
        elif kind < 940:
            yield Tag.API_KEY_EXCHANGE, f"user:{person}", f"api-key:{words.uid()}", "success", {}
        elif kind < 960:
            reason = words.one("secret", "unknown", "address")
            yield Tag.TOKEN_REFUSE, "unauthenticated", f"application:{program}", "refused", {"reason": reason, "count": 3}
        elif kind < 980:
            yield Tag.SESSION_START, f"user:{person}", f"session:{words.uid()}", "success", {}
        elif kind < 985:
            yield Tag.SIGN_IN_REFUSE, "unauthenticated", f"user:{person}", "refused", {"reason": "password"}
        elif kind < 995:
            tag = words.one(Tag.APPLICATION_UPDATE, Tag.SECRET_CREATE, Tag.SECRET_RETIRE)
            yield tag, f"user:{ADMINISTRATOR}", f"application:{program}", "success", {"description": words.text()}
        else:
            yield Tag.GRANT_CREATE, f"user:{ADMINISTRATOR}", f"user:{person}", "success", {"role": "viewer"}


def add_administrators(realm: Realm) -> None:
    """Add people who may see everything of the realm, and of the server, if they are not there yet."""
    for where, name in ((realm, ADMINISTRATOR), (realms.get_realm("master"), OPERATOR)):
        if users.find_user(where, name) is None:
            made = users.create_user(where, name, password_hash=HASHER.hash(PASSWORD))
            access.grant_role(where, users.holder_of(made), "administrator")
    commit()


def main() -> None:
    """Fill a data folder, or the database of a URL."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.seed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__.strip(),
        epilog=_EPILOG,
    )
    parser.add_argument("folder", type=Path, help="data folder; it is made and set up if it is not there")
    parser.add_argument(
        "--database-url", default="", help="PostgreSQL instead of SQLite in the folder, as IDP_DATABASE_URL has it"
    )
    parser.add_argument("--realm", default="acme", help="organisation to fill, made if it is not there (acme)")
    parser.add_argument("--seed", type=int, default=1, help="the same one makes the same data (1)")
    for each in fields(Sizes):
        parser.add_argument(f"--{each.name}", type=int, default=each.default, metavar="N", help=f"({each.default:,})")
    options = parser.parse_args()
    sizes = Sizes(**{each.name: getattr(options, each.name) for each in fields(Sizes)})
    given = {"database_url": options.database_url} if options.database_url else {}
    begun = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {line}", file=sys.stderr, flush=True)

    try:
        fill_database(
            Settings.load(data_dir=options.folder, realms_dir=PROJECT / "realms", **given),
            options.realm,
            sizes,
            options.seed,
            tell,
        )
    except IdpError as error:
        sys.exit(str(error))
    where = f" IDP_DATABASE_URL={options.database_url}" if options.database_url else ""
    print(
        f"Serve it with: IDP_DATA_DIR={options.folder}{where} .venv/bin/idp serve\n"
        f"Sign in to {options.realm!r} as {ADMINISTRATOR}, or to 'master' as {OPERATOR}, with the password: {PASSWORD}"
    )


_EPILOG = """\
examples:
  python -m tests.seed build/seed                       what a busy organisation has, in seconds
  python -m tests.seed build/seed --events 1000000      the same, with a trail of a million events
  python -m tests.seed build/large --applications 100000 --users 100000 --keys 100000
  python -m tests.seed build/node --database-url postgresql://user:password@host/empty

Then look at it: IDP_DATA_DIR=build/seed .venv/bin/idp serve
"""


def fill_database(settings: Settings, name: str, sizes: Sizes, seed: int, tell: Tell) -> None:
    """Set a database up if need be, and fill a realm of it.

    :raises IdpError: it cannot be set up, or the realm has been filled already.
    """
    app, _ = setup.set_up(settings)
    try:
        with app.app_context():
            if realms.find_realm(name) is None:
                manifest.create_empty_realm(name)
                commit()
            realm = realms.get_realm(name)
            add_administrators(realm)
            if db.session.scalar(select(Project.id).where(Project.realm_id == realm.id, Project.name.endswith("-000000"))):
                raise InvalidValueError(f"{name} has been filled already. Name another --realm, or another folder.")
            fill(realm, sizes, seed=seed, tell=tell)
            tell("Done.")
    finally:
        close_app(app)


if __name__ == "__main__":
    main()
