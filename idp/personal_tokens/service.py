"""Personal tokens: made, listed, deleted."""

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import Select, delete, func, select

from idp import audit, clock, feed, keys, vault
from idp.db import db, holds, shared_now
from idp.errors import ConflictError, IdpError, InvalidValueError, Kind, NotFoundError, Sentence
from idp.paging import Listing
from idp.personal_tokens.models import PersonalToken
from idp.realms import KnownRealm
from idp.tokens import PERSONAL, Statement, roles_for_token, write_claims
from idp.users import KnownUser, User

SHORTEST = 60
"""Seconds that a personal token lives at least."""

ALGORITHM = "RS256"
"""What the clients of personal tokens know."""


class TokenLimitError(IdpError):
    """The identity has as many tokens as it may have."""

    kind = Kind.DENIED
    code = "TokenLimitReached"


class Criteria(StrEnum):
    """Which tokens to delete."""

    ALL = "ALL"
    EXPIRED = "EXPIRED"
    CURRENT = "CURRENT"


def create_personal_token(realm: KnownRealm, user: KnownUser, *, seconds: int | None = None, made_with: str = "") -> str:
    """Make a personal token, and return it: it is shown only once.

    :param seconds: its life, where the organisation lets people choose; None for the organisation's.
    :param made_with: id of the token that it is made with, if it is: it then ends when that one does, or before.
    :raises InvalidValueError: the life is out of range.
    :raises ConflictError: the organisation does not let people choose.
    :raises TokenLimitError: there are too many; expired ones count until they are deleted.
    :raises TokenTooLargeError: it would not fit in a header.
    """
    life = _life(realm, seconds)
    # one at a time for each identity: two at once could both see the last free place
    db.session.execute(select(User.id).where(User.id == user.id).with_for_update(key_share=True)).one()
    now = clock.this_second()
    maker = get_personal_token(realm.id, user.id, made_with) if made_with else None
    if maker is not None:
        life = min(life, int((maker.expires_at - now).total_seconds()))
    of_user = select(func.count()).select_from(PersonalToken).where(PersonalToken.user_id == user.id)
    count = db.session.scalar(of_user) or 0
    if count >= realm.personal_token_limit:
        expired = db.session.scalar(of_user.where(PersonalToken.expires_at <= now)) or 0
        raise TokenLimitError(
            f"The limit of {realm.personal_token_limit} tokens is reached; {expired} of yours have expired and count until they "
            "are deleted."
        ).leading_to("delete personal tokens")
    uid = str(uuid.uuid4())
    token = _sign(realm, user, uid, int(now.timestamp()), life)
    pepper_id, token_hash = vault.hash_secret(token)
    db.session.add(
        PersonalToken(
            uid=uid,
            realm_id=realm.id,
            user_id=user.id,
            pepper_id=pepper_id,
            token_hash=token_hash,
            made_with=maker.uid if maker else "",
            created_at=shared_now(),
            expires_at=now + timedelta(seconds=life),
            created_from=audit.current_actor().address,
        )
    )
    audit.record(audit.Tag.PERSONAL_TOKEN_CREATE, realm.name, f"personal-token:{uid}", user=user.name, seconds=life)
    return token


def _life(realm: KnownRealm, seconds: int | None) -> int:
    if seconds is None or seconds == realm.personal_token_seconds:
        return realm.personal_token_seconds
    if not realm.personal_token_choice:
        sentence = (
            "The lifetime of personal tokens is fixed here, at {life} seconds. Leave {field} out, "
            "or ask an administrator to allow choosing it."
        )
        raise ConflictError(Sentence(sentence, life=realm.personal_token_seconds), field="seconds")
    if not SHORTEST <= seconds <= realm.personal_token_seconds:
        sentence = "{field} takes {least} to {most} seconds."
        raise InvalidValueError(Sentence(sentence, least=SHORTEST, most=realm.personal_token_seconds), field="seconds")
    return seconds


def _sign(realm: KnownRealm, user: KnownUser, uid: str, now: int, life: int) -> str:
    said = Statement(
        form=PERSONAL,
        realm=realm,
        subject=user,
        held=roles_for_token(user.held_roles, now),
        audience=realm.issuer,
        issued_at=now,
        expires_at=now + life,
        jti=uid,
    )
    text = write_claims(said) + "}"
    return keys.key_ring(realm).signer(ALGORITHM, now).sign_as(uid, text)


def list_personal_tokens(realm_id: int, user_id: int) -> Sequence[PersonalToken]:
    """Return a user's tokens, expired ones too, oldest first."""
    query = select(PersonalToken).where(PersonalToken.realm_id == realm_id, PersonalToken.user_id == user_id)
    return db.session.scalars(query.order_by(PersonalToken.id)).all()


def page_of_tokens(
    realm_id: int, *, user_id: int | None = None, after: int = 0, limit: int = 50
) -> Sequence[tuple[PersonalToken, User]]:
    """Return tokens with their owners, oldest first: all of a realm, or of one user.

    :param after: only those with a larger row number, for the next page.
    """
    query = (
        select(PersonalToken, User)
        .join(User, User.id == PersonalToken.user_id)
        .where(PersonalToken.realm_id == realm_id, PersonalToken.id > after)
        .order_by(PersonalToken.id)
        .limit(limit)
    )
    if user_id is not None:
        query = query.where(PersonalToken.user_id == user_id)
    return [(row[0], row[1]) for row in db.session.execute(query)]


def token_listing(realm_id: int, *, user_id: int | None = None, owned_by: str = "", state: str = "") -> Listing:
    """Return tokens with their owners as a list in pages: all of a realm, or of one user.

    :param owned_by: only those of users whose name contains this, ignoring case.
    :param state: only those that are `live`, have `expired`, or are `ending` within 30 days.
    """
    query = select(PersonalToken, User).join(User, User.id == PersonalToken.user_id).where(PersonalToken.realm_id == realm_id)
    if user_id is not None:
        query = query.where(PersonalToken.user_id == user_id)
    if owned_by:
        query = query.where(holds(User.name, owned_by))
    now = clock.now()
    match state:
        case "live":
            query = query.where(PersonalToken.expires_at > now)
        case "expired":
            query = query.where(PersonalToken.expires_at <= now)
        case "ending":
            query = query.where(PersonalToken.expires_at > now, PersonalToken.expires_at <= now + clock.SOON)
    return Listing(query, PersonalToken.id, {"expires": PersonalToken.expires_at})


def find_with_owner(realm_id: int, uid: str) -> tuple[PersonalToken, User] | None:
    """Return a token of a realm with its owner, or None."""
    query = select(PersonalToken, User).join(User, User.id == PersonalToken.user_id)
    row = db.session.execute(query.where(PersonalToken.realm_id == realm_id, PersonalToken.uid == uid)).first()
    return None if row is None else (row[0], row[1])


def get_personal_token(realm_id: int, user_id: int, uid: str) -> PersonalToken:
    """Return one of a user's tokens.

    :raises NotFoundError: the user has none with this id.
    """
    query = select(PersonalToken).where(
        PersonalToken.realm_id == realm_id, PersonalToken.user_id == user_id, PersonalToken.uid == uid
    )
    token = db.session.scalar(query)
    if token is None:
        raise NotFoundError("There is no token with this id.")
    return token


def _made_with(uids: Collection[str]) -> Select[str]:
    return select(PersonalToken.uid).where(PersonalToken.made_with.in_(uids))


def delete_personal_tokens(realm: KnownRealm, user_id: int, criteria: Criteria, *, current: str = "") -> int:
    """Delete a user's tokens, and those that were made with them; every worker refuses them within a second. Returns how many.

    :param current: id of the token to delete, with `CURRENT`.
    """
    # a token that is being made at this moment is there before, or is made after
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True)).all()
    condition = (PersonalToken.realm_id == realm.id) & (PersonalToken.user_id == user_id)
    if criteria is Criteria.EXPIRED:
        condition &= PersonalToken.expires_at <= clock.now()
    elif criteria is Criteria.CURRENT:
        condition &= PersonalToken.uid == current
    uids = set(db.session.scalars(select(PersonalToken.uid).where(condition)))
    while made := set(db.session.scalars(_made_with(uids))) - uids:
        uids |= made  # whoever had it may have made them
    gone = db.session.scalars(delete(PersonalToken).where(PersonalToken.uid.in_(uids)).returning(PersonalToken.uid)).all()
    for uid in gone:
        audit.record(audit.Tag.PERSONAL_TOKEN_DELETE, realm.name, f"personal-token:{uid}", criteria=criteria.value)
        feed.publish("personal-token", uid)
    return len(gone)
