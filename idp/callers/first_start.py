"""The first administrator: made by whoever has the one-time secret that the first start printed."""

from idp import access, applications, audit, clock, ratelimit, runtime, tokens, users
from idp.applications import KnownApplication
from idp.db import db
from idp.errors import IdpError, Kind
from idp.realms import MASTER, Realm, get_realm, known_realm, lock_realm, publish_application
from idp.users import User

ADMINISTRATOR = "administrator"
"""The application of realm `master` that the one-time secret belongs to."""

TRIES_FROM_ADDRESS, WINDOW = 20, 300
"""Wrong secrets from one network, and the seconds in which they count."""


class FirstSecretError(IdpError):
    """The one-time secret does not work. One text for every cause."""

    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("This secret is wrong, has already been used, or has expired.")


def awaits_administrator() -> bool:
    """Tell whether the one-time secret can still be used: nobody has yet, and it has not been retired."""
    master = known_realm(runtime.current(), MASTER)
    application = applications.read_application(master, ADMINISTRATOR) if master is not None else None
    now = clock.timestamp()
    return (
        application is not None
        and application.enabled
        and any(each.single_use and each.expires_at > now for each in application.secrets)
    )


def redeem_first_secret(plain_secret: str, name: str, password: str, address: str) -> tuple[Realm, User]:
    """Make an administrator of realm `master` who signs in by name and password. The secret works once (T61).

    The caller commits, which is when it is used up.

    :param name: the person's mail address.
    :raises FirstSecretError: the secret is wrong, used or expired.
    :raises InvalidValueError: the name or password will not do; the secret can be used again.
    :raises ConflictError: there is such a user already.
    :raises TooManyAttemptsError: it is wrong, and so were too many others that came from this address.
    """
    process = runtime.current()
    master = known_realm(process, MASTER)
    application = applications.read_application(master, ADMINISTRATOR) if master is not None else None
    secret_id = _matching(application, plain_secret) if application is not None else None
    if secret_id is None:
        tokens.usage(process).refused(MASTER, application, address, "secret")
        ratelimit.reserve_attempt(ratelimit.network_limits("first start", address, TRIES_FROM_ADDRESS), WINDOW)
        raise FirstSecretError
    users.check_user_name(users.UserKind.PERSON, name)
    users.check_password(password, users.canonical(name), MASTER)
    with users.password_hashing(process).seat() as seat:
        password_hash = seat.hash(password)
    lock_realm(MASTER)
    if not applications.use_up(secret_id):
        db.session.rollback()
        raise FirstSecretError
    realm = get_realm(MASTER)
    publish_application(MASTER, ADMINISTRATOR)
    with audit.acting_as(audit.Actor(f"application:{ADMINISTRATOR}", address)):
        audit.record(audit.Tag.SECRET_USE_UP, MASTER, f"application:{ADMINISTRATOR}", made=users.canonical(name))
        user = users.create_user(realm, name, password_hash=password_hash)
        access.grant_role(realm, users.holder_of(user), "administrator")
    return realm, user


def _matching(application: KnownApplication, plain_secret: str) -> int | None:
    now = clock.timestamp()
    is_administrator = any(
        held.role == ADMINISTRATOR and not held.project and now < held.until for held in application.held_roles
    )
    if not application.enabled or not is_administrator or not 0 < len(plain_secret) <= 512:
        return None
    secret = applications.match_secret(application, plain_secret, now)
    return secret.id if secret is not None and secret.single_use else None
