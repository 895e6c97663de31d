"""What grants for people have in common: who the person is, and the answer with their tokens (OpenID Connect Core §3.1.3.3)."""

from dataclasses import replace
from typing import Any

from idp import tokens
from idp.audit import Tag
from idp.oauth.client_auth import Client
from idp.oauth.errors import InvalidScopeError, InvalidTargetError
from idp.oauth.forms import Form
from idp.realms import KnownRealm
from idp.sessions import known_session
from idp.tokens import SignedInPerson
from idp.users import KnownUser, UserKind, known_user


def find_person(realm: KnownRealm, uid: str, *, begun_at: float, sid: str) -> KnownUser | None:
    """Return a person who may still do what they began; None if they are gone, disabled, or have signed out since.

    :param begun_at: when they signed in (seconds since 1970).
    :param sid: the session of the browser; empty where there is none.
    """
    user = known_user(realm, uid)
    if user is None or not user.enabled or user.kind is not UserKind.PERSON or begun_at <= user.signed_out_at:
        return None
    return user if not sid or known_session(realm, sid) is not None else None


def answer_for(
    realm: KnownRealm, client: Client, person: SignedInPerson, form: Form, refresh_token: str, ends: float, tag: Tag
) -> dict[str, Any]:
    """Return the answer with the tokens of a person.

    :param refresh_token: empty for none.
    :param ends: when what they are issued for ends (seconds since 1970).
    :raises InvalidTargetError: the form asks for another resource than was agreed, or for one that the client may not address.
    :raises InvalidScopeError: the person lacks a project of the scope by now, or their roles do not fit a token.
    """
    resource = form.text("resource")
    if person.resource:
        try:
            resource = " ".join(tokens.targets_among(person.resource.split(), resource))
        except tokens.TargetError as error:
            # RFC 8707 §2.2: a subset of what was granted
            raise InvalidTargetError("The resource is not one that was asked for when the person signed in.") from error
    allowed = client.application.scopes  # which may have become fewer
    # an application that an issuer vouches for gets nothing that outlives that, for people neither
    person = replace(
        person,
        scopes=[scope for scope in person.scopes if not allowed or scope in allowed],
        by_word_of=person.by_word_of or client.application.origin,
    )
    try:
        issued = tokens.issue_for_person(realm, client.application, person, resource=resource, until=ends, binding=client.binding)
    except tokens.TargetError as error:
        raise InvalidTargetError(str(error)) from error
    except (tokens.ScopeError, tokens.TokenTooLargeError) as error:
        raise InvalidScopeError(str(error)) from error
    is_openid = bool(issued.id_token)
    tokens.usage(realm.runtime).issued(
        realm.name,
        client.application,
        client.secret,
        client.address,
        issued.jti,
        id_token=is_openid,
        tag=tag,
        assertion=client.assertion,
    )
    kind = client.binding.token_type
    answer = {"access_token": issued.access_token, "token_type": kind, "expires_in": issued.expires_in}
    optional = {"refresh_token": refresh_token, "id_token": issued.id_token, "scope": " ".join(person.scopes)}
    return answer | {name: value for name, value in optional.items() if value}
