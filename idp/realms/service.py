"""The life cycle of realms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from idp import audit, clock, feed
from idp.db import db, is_meant, reading
from idp.errors import A_REALM, ConflictError, InvalidValueError, NotFoundError, Sentence, Term
from idp.realms.branding import Branding
from idp.realms.models import PurgedRealm, Realm, RealmState
from idp.realms.names import NAME_PATTERN, check_name
from idp.realms.sheet import RealmSettings, RealmSheet
from idp.runtime import Runtime, current

MASTER = "master"
"""The operators' realm."""

NEW_REALM = RealmSheet()
"""What a realm is like for which nothing is said."""

FIRST_CONTRACT_NUMBER = 10_000_000
"""Contract numbers count from here, in eight digits as their clients show them."""


def create_realm(name: str, sheet: RealmSheet = NEW_REALM, *, pending: bool = False) -> Realm:
    """Create a realm. The caller has to create its keys and built-in roles.

    :param pending: whether it requires an operator's approval, until which nothing in it works.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: the name is not usable.
    """
    check_name(A_REALM, name)
    _check_open_audiences(sheet.open_audiences)
    if find_realm(name) is not None:
        raise ConflictError(Sentence("{Realm} already exists.", realm=name), field="name")
    if db.session.get(PurgedRealm, name) is not None:
        # its issuer and its audit trail were another's (R64, T73)
        sentence = Sentence("{Realm} existed before, and its name cannot be reused. Choose another.", realm=name)
        raise ConflictError(sentence, field="name")
    realm = Realm(name=name, pending=pending, **sheet.model_dump() | ({"enabled": False} if pending else {}))
    db.session.add(realm)
    db.session.flush()
    if realm.contract_number is None:
        realm.contract_number = FIRST_CONTRACT_NUMBER + realm.id
    audit.record(audit.Tag.REALM_CREATE, name, f"realm:{name}", uid=realm.uid)
    feed.publish("realm", name)
    return realm


def update_realm(realm: Realm, sheet: RealmSettings) -> None:
    """Update the settings of a realm to those of a sheet; with a `RealmSheet`, also whether it works.

    :raises ConflictError: it cannot be disabled, or enabled.
    """
    changed = sheet.differing(realm)
    _check_open_audiences(changed.get("open_audiences", ()))
    if realm.name == MASTER and changed.get("enabled") is False:
        raise ConflictError(Sentence("{Realm} belongs to the operators and cannot be disabled.", realm=MASTER))
    if realm.state in {RealmState.PENDING, RealmState.DELETED} and changed.get("enabled"):
        sentence = "{Realm} is {state}: an operator has to approve or restore it first."
        raise ConflictError(Sentence(sentence, realm=realm.name, state=Term(realm.state.value)))
    if not changed:
        return
    for key, value in changed.items():
        setattr(realm, key, value)
    realm.updated_at = clock.now()
    if changed.get("brand_logo"):
        changed["brand_logo"] = f"a picture, {Branding(logo=realm.brand_logo).logo_digest}"  # which would fill the trail
    audit.record(audit.Tag.REALM_UPDATE, realm.name, f"realm:{realm.name}", **changed)
    announce_realm(realm)


def _check_open_audiences(audiences: Sequence[str]) -> None:
    """See that no application of a stranger gets tokens for this server.

    :raises InvalidValueError: one of the audiences is an issuer of it.
    """
    if any(each.startswith(current().settings.issuer("")) for each in audiences):
        sentence = "An API that is open to all applications is one of your own, and never an issuer of this server."
        raise InvalidValueError(sentence, field="open_audiences")


def announce_realm(realm: Realm) -> None:
    """Tell every worker that what it knows of a realm, and of who is in it, is out of date."""
    feed.publish("realm", realm.name)
    publish_application(realm.name, "*")
    publish_user(realm.name, "*")


def publish_application(realm: str, client_id: str, *, is_new: bool = False) -> None:
    """Tell every worker that what it knows of an application is out of date; `*` means all of the realm's."""
    feed.publish("application", f"{realm}/{client_id}", is_new=is_new)


def publish_user(realm: str, uid: str, *, is_new: bool = False) -> None:
    """Tell every worker that what it knows of a user is out of date; `*` means all of the realm's."""
    feed.publish("user", f"{realm}/{uid}", is_new=is_new)


def find_realm(name: str) -> Realm | None:
    """Return a realm by name, or None."""
    return db.session.scalar(select(Realm).where(Realm.name == name))


def find_realm_by_uid_or_name(named: str) -> Realm | None:
    """Return a realm by uid or name, or None."""
    return db.session.scalar(select(Realm).where(is_meant(Realm, named)))


def find_realm_by_number(number: int) -> Realm | None:
    """Return a realm by its row number, for contracts with numeric ids; None if there is none."""
    return db.session.get(Realm, number) if 0 < number < 2**31 else None


def lock_realm(name: str) -> Realm | None:
    """Return a realm as it is now; until the commit, no other act that locks it takes place. SQLite locks all of them."""
    return db.session.scalar(
        select(Realm).where(Realm.name == name).with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def find_name_by_contract(number: int) -> str | None:
    """Return the name of the realm with this contract number, or None."""
    with reading() as session:
        return session.scalar(select(Realm.name).where(Realm.contract_number == number))


def get_realm(name: str) -> Realm:
    """Return a realm by name.

    :raises NotFoundError: there is none.
    """
    realm = find_realm(name)
    if realm is None:
        raise NotFoundError(Sentence("There is no {realm}.", realm=name[:80])).leading_to("list realms")
    return realm


def list_realms() -> Sequence[Realm]:
    """Return all realms by name."""
    return db.session.scalars(select(Realm).order_by(Realm.name)).all()


def existing_names() -> set[str]:
    """Return the names of all realms, without a transaction of the unit of work."""
    with reading() as session:
        return set(session.scalars(select(Realm.name)))


def names_besides_master(limit: int) -> Sequence[str]:
    """Return the names of the first enabled realms that are not the operators' own."""
    query = select(Realm.name).where(Realm.name != MASTER, Realm.enabled).order_by(Realm.name).limit(limit)
    with reading() as session:
        return session.scalars(query).all()


@dataclass(frozen=True, slots=True)
class KnownRealm:
    """What a worker keeps of a realm in memory."""

    id: int
    uid: str
    name: str
    display_name: str
    enabled: bool
    signing_algorithm: str
    access_token_type: str
    issuer: str
    contract_number: int
    session_seconds: int
    tokens_from: float
    """Tokens issued before this are invalid (seconds since 1970)."""
    personal_token_limit: int
    personal_token_seconds: int
    personal_token_choice: bool
    token_seconds: int
    person_token_seconds: int
    refresh_idle_seconds: int
    refresh_seconds: int
    refresh_overlap_seconds: int
    pushes_requests: bool
    profile: str
    """Security profile of applications that choose none themselves."""
    has_registration: bool
    takes_client_documents: bool
    open_audiences: tuple[str, ...]
    branding: Branding = field(repr=False)

    @property
    def general_audience(self) -> str:
        """What tokens are made for that are made for no API in particular. This server's own APIs do not take them."""
        return f"{self.issuer}/apis"

    runtime: Runtime = field(repr=False, compare=False)
    """The process that this is the memory of; domains find their own caches through it."""


def known_realm(process: Runtime, name: str) -> KnownRealm | None:
    """Return a realm from memory, read from the database at its first use; None when there is none."""
    cache = process.feed.cache("realm")
    found: KnownRealm | None = cache.get(name)
    if found is None and NAME_PATTERN.fullmatch(name):
        found = cache.load(name, _reader(process, name))
    return found


def _reader(process: Runtime, name: str) -> Callable[[], KnownRealm | None]:
    def read() -> KnownRealm | None:
        with reading() as session:
            realm = session.scalar(select(Realm).where(Realm.name == name))
            if realm is None:
                return None
            return KnownRealm(
                id=realm.id,
                uid=realm.uid,
                name=realm.name,
                display_name=realm.display_name,
                enabled=realm.enabled,
                signing_algorithm=realm.signing_algorithm,
                access_token_type=realm.access_token_type,
                issuer=process.settings.issuer(realm.name),
                contract_number=realm.contract_number or 0,
                session_seconds=realm.session_hours * 3600,
                tokens_from=realm.tokens_from.timestamp() if realm.tokens_from else 0.0,
                personal_token_limit=realm.personal_token_limit,
                personal_token_seconds=realm.personal_token_seconds,
                personal_token_choice=realm.personal_token_choice,
                token_seconds=realm.token_seconds,
                person_token_seconds=realm.person_token_seconds,
                refresh_idle_seconds=realm.refresh_idle_hours * 3600,
                refresh_seconds=realm.refresh_hours * 3600,
                refresh_overlap_seconds=realm.refresh_overlap_seconds,
                pushes_requests=realm.pushed_requests,
                profile=realm.profile,
                has_registration=realm.registration,
                takes_client_documents=realm.client_documents,
                open_audiences=tuple(realm.open_audiences),
                branding=Branding(realm.brand_color, realm.brand_logo, realm.help_url, realm.privacy_url, realm.terms_url),
                runtime=process,
            )

    return read
