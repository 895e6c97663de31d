"""Who will miss a credential, told from the counters of its use."""

from datetime import datetime

from idp import apikeys, applications, clock, personal_tokens, sessions, users
from idp.access import Holder, HolderKind
from idp.apikeys import ApiKey
from idp.applications import Application, ApplicationSecret
from idp.console.language import count_of, say, say_count
from idp.console.render import words
from idp.realms import Realm
from idp.users import User


def use_of_application(application: Application) -> str:
    """Say what an application was used for."""
    if application.last_used_at is None:
        return say("It has never fetched a token: nobody seems to use it.")
    return say_count(
        "It has fetched {count} token, the last one {time}: anything that uses it will stop working.",
        "It has fetched {count} tokens, the last one {time}: anything that uses it will stop working.",
        application.token_count,
        time=_ago(application.last_used_at),
    )


def use_of_secret(secret: ApplicationSecret) -> str:
    """Say how often a client secret was used, and from where."""
    return _use(secret.use_count, secret.last_used_at, secret.last_used_address)


def use_of_key(key: ApiKey) -> str:
    """Say how often an API key was used, and from where."""
    return _use(key.use_count, key.last_used_at, key.last_used_address)


def use_of_user(realm: Realm, user: User) -> list[str]:
    """Say what stops with a user."""
    keys = [key for key in apikeys.list_keys(realm, owner=users.holder_of(user), limit=None) if key.active and not key.revoked_at]
    used = count_of(sum(key.use_count for key in keys), "time")
    tokens = personal_tokens.list_personal_tokens(realm.id, user.id)
    return [
        say(
            "{keys}, used {used} in total, and {tokens} are refused.",
            keys=count_of(len(keys), "API key"),
            used=used,
            tokens=count_of(len(tokens), "personal token"),
        ),
        say_count(
            "{count} session of theirs will end immediately.",
            "{count} sessions of theirs will end immediately.",
            len(sessions.list_sessions(realm, user=user)),
        ),
    ]


def use_of_holder(realm: Realm, holder: Holder) -> list[str]:
    """Say who stands behind a holder of roles."""
    if holder.kind is HolderKind.APPLICATION:
        return [use_of_application(applications.get_application(realm, holder.name))]
    if holder.kind is HolderKind.GROUP:
        count = users.user_listing(realm, group=users.get_group(realm, holder.name)).count()
        return [say_count("{count} user holds it through this group.", "{count} users hold it through this group.", count)]
    return []


def _use(count: int, last: datetime | None, address: str) -> str:
    if last is None:
        return say("It has never been used.")
    return say_count(
        "It has been used {count} time, the last time {time}, from {address}.",
        "It has been used {count} times, the last time {time}, from {address}.",
        count,
        time=_ago(last),
        address=address,
    )


def _ago(time: datetime) -> str:
    return words(time, clock.now())
