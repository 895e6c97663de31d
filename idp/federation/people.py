"""People whom a trusted issuer knows, and who they are here: for grants that an organisation's sign-in server gives (ID-JAG)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select

from idp import audit, authorizations
from idp.db import db, holds, reading
from idp.errors import ConflictError, InvalidValueError, NotFoundError, Sentence
from idp.federation.models import FederatedPerson, TrustedIssuer
from idp.federation.service import get_issuer
from idp.paging import Listing
from idp.realms import Realm
from idp.users import User, UserKind, canonical, get_user

LONGEST_SUBJECT = 255


def link_person(realm: Realm, issuer: str, subject: str, user: str) -> FederatedPerson:
    """Say whom the subject of an issuer stands for here.

    :param issuer: name or uid of a trusted issuer.
    :param subject: `sub`, as the issuer has it: an id that it never gives to another.
    :param user: name or uid of a person.
    :raises ConflictError: it stands for somebody already.
    :raises InvalidValueError: the subject is not usable, or the user is a machine.
    :raises NotFoundError: there is no such issuer or user.
    """
    row, person = get_issuer(realm, issuer), get_user(realm, user)
    if person.kind != UserKind.PERSON.value:
        raise InvalidValueError("Only a person can be the subject of a sign-in server.", field="user")
    check_subject(subject)
    if find_person(row, subject) is not None:
        raise ConflictError(
            Sentence("{subject!r} of {issuer!r} already stands for somebody.", subject=subject[:80], issuer=row.name),
            field="subject",
        )
    found = FederatedPerson(realm_id=realm.id, issuer_id=row.id, user_id=person.id, subject=subject)
    db.session.add(found)
    db.session.flush()
    audit.record(
        audit.Tag.FEDERATED_PERSON_LINK, realm.name, f"user:{person.name}", issuer=row.name, subject=subject, uid=found.uid
    )
    return found


def check_subject(subject: str) -> None:
    """See that something can be the subject of an issuer.

    :raises InvalidValueError: it cannot.
    """
    if not 1 <= len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise InvalidValueError(f"A subject has 1 to {LONGEST_SUBJECT} printable characters.", field="subject")


def get_person(realm: Realm, uid: str) -> FederatedPerson:
    """Return a link by its uid.

    :raises NotFoundError: there is no such link.
    """
    row = db.session.scalar(select(FederatedPerson).where(FederatedPerson.realm_id == realm.id, FederatedPerson.uid == uid))
    if row is None:
        raise NotFoundError(Sentence("{Realm} has no federated person {uid!r}.", realm=realm.name, uid=uid[:80]))
    return row


def find_person(issuer: TrustedIssuer, subject: str) -> FederatedPerson | None:
    """Return the link of a subject of an issuer; None if it stands for nobody."""
    query = select(FederatedPerson).where(FederatedPerson.issuer_id == issuer.id, FederatedPerson.subject == subject)
    return db.session.scalar(query)


def list_people(realm: Realm) -> Sequence[FederatedPerson]:
    """Return all links of a realm, by issuer and subject."""
    query = select(FederatedPerson).join(FederatedPerson.issuer).where(FederatedPerson.realm_id == realm.id)
    return db.session.scalars(query.order_by(TrustedIssuer.name, FederatedPerson.subject)).all()


def unlink_person(realm: Realm, uid: str) -> None:
    """Have a subject stand for nobody, and end what its issuer has let applications do for the person until now.

    :raises NotFoundError: there is no such link.
    """
    row = get_person(realm, uid)
    person = row.user
    db.session.delete(row)
    db.session.flush()  # whoever is just using the link has committed by then, and is among those that end: see `hold_link`
    authorizations.end_of_link(realm.name, person.id, uid)
    audit.record(
        audit.Tag.FEDERATED_PERSON_UNLINK, realm.name, f"user:{person.name}", issuer=row.issuer.name, subject=row.subject
    )


def count_people(issuer: TrustedIssuer) -> int:
    """Return how many people an issuer knows."""
    return db.session.scalar(select(func.count()).where(FederatedPerson.issuer_id == issuer.id)) or 0


def people_listing(realm: Realm, *, containing: str = "", issuer: str = "", user: str = "") -> Listing:
    """Return as a list in pages who stands for whom.

    :param containing: only those whose subject, or user's name, contains this.
    :param issuer: only those whom the trusted issuer of this name knows.
    :param user: only those who are the user of this name.
    """
    query = select(FederatedPerson).where(FederatedPerson.realm_id == realm.id)
    if containing:
        query = query.where(
            or_(holds(FederatedPerson.subject, containing), FederatedPerson.user.has(holds(User.name, containing)))
        )
    if issuer:
        query = query.where(FederatedPerson.issuer.has(TrustedIssuer.name == issuer))
    if user:
        query = query.where(FederatedPerson.user.has(User.name == canonical(user)))
    return Listing(query, FederatedPerson.id, {"created": FederatedPerson.created_at, "subject": FederatedPerson.subject})


@dataclass(frozen=True, slots=True)
class Link:
    """Whom the subject of an issuer stands for."""

    uid: str
    user_uid: str


def person_of(issuer_id: int, subject: str) -> Link | None:
    """Return whom the subject of an issuer stands for; None for nobody."""
    with reading() as session:
        query = select(FederatedPerson.uid, User.uid).join(User, User.id == FederatedPerson.user_id)
        row = session.execute(query.where(FederatedPerson.issuer_id == issuer_id, FederatedPerson.subject == subject)).first()
        return Link(*row) if row is not None else None


def hold_link(uid: str) -> bool:
    """Tell whether a link is still there, and keep it there until the commit."""
    held = select(FederatedPerson.id).where(FederatedPerson.uid == uid).with_for_update(read=True)
    return db.session.scalar(held) is not None
