"""Signing keys and their calendar: announced, signing, retired, removed; rotated by hand, or revoked."""

from datetime import datetime, timedelta

from flask import Response

from idp import clock, keys, rules
from idp.algorithms import SIGNING_ALGORITHMS
from idp.console.browser import Visit, page, page_with_keys
from idp.console.dialogs import Confirmation, confirmed
from idp.console.language import say, say_count
from idp.console.navigation import base
from idp.console.render import render, words
from idp.errors import NotFoundError
from idp.keys import KeyState, SigningKey
from idp.realms import Realm


@page
def list_keys(visit: Visit) -> Response | str:
    """Show every key with its dates, and what comes next."""
    rules.signing_keys.check_reading(visit.authority)
    now = clock.now()
    rows = [(key, key.state(now).value, next_step(visit.realm, key, now)) for key in reversed(keys.list_keys(visit.realm))]
    return render(
        "console/realm/signing_keys.html",
        rows=rows,
        algorithms=SIGNING_ALGORITHMS,
        may=visit.can("keys:write"),
    )


def next_step(realm: Realm, key: SigningKey, now: datetime) -> tuple[str, datetime] | None:
    """Return what happens to a key next, and when; None for nothing."""
    match key.state(now):
        case KeyState.ANNOUNCED:
            return say("starts signing"), key.active_from
        case KeyState.RETIRED if key.removed_at is not None:
            return say("is removed from the key set"), key.removed_at
        case KeyState.ACTIVE if key.retires_at is not None:
            return say("its successor takes over"), key.retires_at
        case KeyState.ACTIVE if realm.key_rotation_days:
            due = key.active_from + timedelta(days=realm.key_rotation_days) - keys.announcement()
            return say("its successor is announced"), due
    return None


@page_with_keys
def rotate_key(visit: Visit, algorithm: str) -> Response | str:
    """Announce a successor, once that is confirmed."""
    rules.signing_keys.check_changing(visit.authority)
    if algorithm not in SIGNING_ALGORITHMS:
        raise NotFoundError("There is no key for this algorithm (not found).")
    back = (f"{base(visit.realm.name)}/signing-keys", say("Signing keys"))
    announced = [
        key for key in keys.list_keys(visit.realm) if key.algorithm == algorithm and key.state(clock.now()) is KeyState.ANNOUNCED
    ]
    blocked = ""
    if announced:
        blocked = say(
            "Its successor has already been announced, and starts signing {time}.",
            time=words(announced[0].active_from, clock.now()),
        )
    wait = int(keys.announcement().total_seconds() // 60)

    def act() -> None:
        keys.rotate_key(visit.realm, algorithm)

    question = Confirmation(
        say("Rotate the {algorithm} key", algorithm=algorithm),
        say("Announce a successor to the {algorithm} key?", algorithm=algorithm),
        say("Rotate"),
        back,
        [
            say_count(
                "The new key is in the key set for {count} minute before it starts signing, so no verifier meets an unknown key.",
                "The new key is in the key set for {count} minutes before it starts signing, "
                "so no verifier meets an unknown key.",
                wait,
            ),
            say("The old key stays in the key set until the last token it signed has expired. Nothing breaks."),
        ],
        blocked=blocked,
    )
    return confirmed(visit, question, act, f"{back[0]}?done=rotated")


@page_with_keys
def revoke_key(visit: Visit, kid: str) -> Response | str:
    """Take a key that may have leaked out of the key set, once that is confirmed."""
    rules.signing_keys.check_changing(visit.authority)
    key = next((each for each in keys.list_keys(visit.realm) if each.uid == kid), None)
    if key is None:
        raise NotFoundError("There is no such key (not found).")
    back = (f"{base(visit.realm.name)}/signing-keys", say("Signing keys"))

    def act(reason: str) -> None:
        keys.revoke_key(visit.realm, kid, reason)

    question = Confirmation(
        say("Revoke key {name}", name=kid),
        say("Take the {algorithm} key {name} out of the key set immediately?", algorithm=key.algorithm, name=kid),
        say("Revoke"),
        back,
        [
            say("Every token it has signed is refused by each verifier as soon as its copy of the key set expires."),
            say("Applications have to fetch new tokens; people stay signed in to this console."),
            say("Do this if the key may have leaked. To change keys without an interruption, rotate instead."),
        ],
        asks_reason=True,
        typed="revoke",
    )
    return confirmed(visit, question, act, f"{back[0]}?done=revoked")
