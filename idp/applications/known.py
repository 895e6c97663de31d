"""What a worker keeps of an application in memory: enough to authenticate it and to issue its tokens without SQL."""

import logging
import os
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select

from idp import crypto, vault
from idp.access import Frozen, HeldRole, HolderKind, limited_to, read_held_roles
from idp.applications.credentials import name_of_key, name_of_secret
from idp.applications.documents import name_of
from idp.applications.kinds import Kind, allowed_grants
from idp.applications.models import Application, ApplicationKeySet, ApplicationSecret
from idp.applications.service import HAS_ORIGINS
from idp.db import reading
from idp.jose import InvalidTokenError
from idp.published_keys import PublicKey, public_key_of
from idp.realms import NAME_PATTERN, KnownRealm

_log = logging.getLogger(__name__)

MOST_COMPARED = 8
"""Live secrets of an application up to which a wrong one costs the same."""

MOST_DERIVED = 50
"""Different views of an application that are remembered."""

_NOBODYS = os.urandom(32)
"""Pepper and hash of a secret that nobody has."""


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """A secret that was live when it was read."""

    id: int
    name: str
    pepper: bytes = field(repr=False)
    secret_hash: bytes
    expires_at: float
    single_use: bool
    frozen: Frozen | None
    credential: str
    """What tokens name it by that are fetched with it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """By whose word an application, or somebody for whom it acts, was admitted who has shown no credential of their own."""

    issuer: str
    subject: str
    """Who the issuer has said it is."""
    rule: str = ""
    """That has admitted an application."""


@dataclass(frozen=True, slots=True)
class KnownApplication:
    """An application as of the last change to it."""

    id: int
    uid: str
    name: str
    """What it is called here."""
    client_id: str
    """What it is called by those who speak the protocol: its name, or the URL at which it describes itself."""
    enabled: bool
    audience: tuple[str, ...]
    resources: frozenset[str]
    algorithm: str
    """Empty for the realm's."""
    access_token_type: str
    """Empty for the realm's."""
    token_seconds: int
    """How long its own tokens live: no longer than the realm lets them."""
    kind: Kind
    title: str
    """What people are told it is called."""
    redirect_uris: frozenset[str]
    post_logout_redirect_uris: frozenset[str]
    backchannel_logout_uri: str
    """Empty for none."""
    grants: frozenset[str]
    """The grants that it may use."""
    scopes: frozenset[str]
    """Scopes that it may ask people for; empty for all."""
    asks_consent: bool
    pushes_requests: bool
    signs_userinfo: bool
    binds_tokens: bool
    """Whether its access tokens must be bound to a key (RFC 9449)."""
    binds_to_certificates: bool
    """Whether its access tokens must be bound to its TLS certificate (RFC 8705)."""
    is_fapi: bool
    """Whether it follows the security profile FAPI 2.0."""
    demands_nonces: bool
    """Whether its proofs must carry a nonce of this server."""
    privacy_url: str
    terms_url: str
    document_url: str
    """Where it describes itself; empty for one that somebody has registered."""
    web_origins: frozenset[str]
    """Origins whose pages may read the responses to it."""
    secrets: tuple[KnownSecret, ...]
    public_keys: tuple[PublicKey, ...]
    keys_until: float
    """When its public keys stop counting (seconds since 1970), if none are fetched until then; endless for those it was given."""
    publishes_keys: bool
    """Whether its public keys are fetched, by themselves or with its document."""
    jwks_frozen: Frozen | None
    rate_per_second: int | None
    held_roles: tuple[HeldRole, ...]
    frozen: Frozen | None = None
    """What the credential carries at the most by which it has shown who it is; None for no limit, or none shown."""
    origin: Origin | None = None
    """By whose word it was admitted; None where it has shown a credential of its own."""
    credential: str = ""
    """What its tokens name the credential by that it has shown; empty for none that is kept here."""
    derived: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What others work out from the fields above and want to keep exactly as long as they hold."""

    @property
    def gets_own_tokens(self) -> bool:
        """Whether it may get tokens for itself, and not for people alone."""
        return "client_credentials" in self.grants

    def limited_to(self, frozen: Frozen | None) -> "KnownApplication":
        """Return the application limited to what one of its credentials carries; computed once for each limit."""
        if frozen is None:
            return self
        key = ("limited", str(frozen))
        limited: KnownApplication | None = self.derived.get(key)
        if limited is None:
            limited = self.derived[key] = replace(self, held_roles=limited_to(frozen, self.held_roles), frozen=frozen, derived={})
        return limited

    def shown_by(self, credential: str, frozen: Frozen | None) -> "KnownApplication":
        """Return the application as one of its credentials shows it; computed once for each.

        :param credential: what tokens name it by; empty for one that is not kept here.
        :param frozen: what it carries at the most.
        """
        if not credential:
            return self.limited_to(frozen)
        key = ("shown", credential)
        shown: KnownApplication | None = self.derived.get(key)
        if shown is None:
            shown = self.derived[key] = replace(self.limited_to(frozen), credential=credential, derived={})
        return shown

    def admitted_by(self, origin: Origin, longest: int) -> "KnownApplication":
        """Return the application as somebody else's word has admitted it; computed once for each.

        :param longest: seconds that its tokens live at the most.
        """
        key = ("admitted", origin, longest)
        admitted: KnownApplication | None = self.derived.get(key)
        if admitted is None:
            if len(self.derived) >= MOST_DERIVED:
                self.derived.clear()
            admitted = self.derived[key] = replace(self, origin=origin, token_seconds=longest, derived={})
        return admitted


def match_secret(application: KnownApplication | None, plain_secret: str, now: float) -> KnownSecret | None:
    """Return the live secret that was presented, or None. Every live secret is compared, whichever matches.

    Where none does, as many are compared as if the application had `MOST_COMPARED`: also when it has fewer, and when there
    is no such application, so that the time tells neither (T88).

    :param application: the one that the secret is presented for; None when there is no such application.
    """
    match = None
    secrets = application.secrets if application is not None else ()
    for secret in secrets:
        matches = crypto.same(crypto.keyed_hash(secret.pepper, plain_secret), secret.secret_hash)
        if matches and now < secret.expires_at:
            match = secret
    if match is None:
        for _ in range(MOST_COMPARED - len(secrets)):
            crypto.same(crypto.keyed_hash(_NOBODYS, plain_secret), _NOBODYS)
    return match


def known_application(realm: KnownRealm, client_id: str) -> KnownApplication | None:
    """Return an application from memory, read from the database at its first use; None when there is none."""
    return recall_application(realm, client_id) or read_application(realm, client_id)


def recall_application(realm: KnownRealm, client_id: str) -> KnownApplication | None:
    """Return an application if it is in memory."""
    found: KnownApplication | None = realm.runtime.feed.cache("application").get(f"{realm.name}/{name_of(client_id)}")
    return found


def read_application(realm: KnownRealm, client_id: str) -> KnownApplication | None:
    """Read an application from the database into memory; None when there is none.

    It takes the same three statements whether the application exists or not, so that the time tells nothing (T88).
    """
    cache = realm.runtime.feed.cache("application")
    name = name_of(client_id) if NAME_PATTERN.fullmatch(name_of(client_id)) else ""
    found: KnownApplication | None = cache.load(f"{realm.name}/{name}", lambda: _read(realm, name))
    return found


def _read(realm: KnownRealm, client_id: str) -> KnownApplication | None:
    with reading() as session:
        query = select(Application, ApplicationKeySet).outerjoin(
            ApplicationKeySet, ApplicationKeySet.application_id == Application.id
        )
        found = session.execute(query.where(Application.realm_id == realm.id, Application.name == client_id)).first()
        row, key_set = found or (None, None)
        row_id = -1 if row is None else row.id
        secrets = session.scalars(
            select(ApplicationSecret)
            .where(ApplicationSecret.application_id == row_id, ApplicationSecret.retired_at.is_(None))
            .order_by(ApplicationSecret.id)
        ).all()
        held_roles = read_held_roles(session, HolderKind.APPLICATION, row_id)
        if row is None:
            return None
        is_fapi = (row.profile or realm.profile) == "fapi2"
        return KnownApplication(
            id=row.id,
            uid=row.uid,
            name=row.name,
            client_id=row.document_url or row.name,
            enabled=row.enabled and (realm.takes_client_documents or not row.document_url),
            audience=tuple(row.audience) or (realm.general_audience,),
            resources=frozenset((*row.resources, row.document_url or row.name)),
            algorithm="ES256" if is_fapi else row.signing_algorithm or "",  # FAPI 2.0 §5.4.1 has no RS256
            access_token_type=row.access_token_type or "",
            token_seconds=min(realm.token_seconds, row.token_seconds or realm.token_seconds),
            kind=Kind(row.kind),
            title=row.display_name or row.name,
            redirect_uris=frozenset(row.redirect_uris),
            post_logout_redirect_uris=frozenset(row.post_logout_redirect_uris),
            backchannel_logout_uri=row.backchannel_logout_uri or "",
            grants=allowed_grants(Kind(row.kind), row.grant_types),
            scopes=frozenset(row.scopes),
            asks_consent=row.consent,
            pushes_requests=row.pushed_requests or is_fapi,
            signs_userinfo=row.signed_userinfo,
            binds_tokens=row.dpop_bound_access_tokens,
            binds_to_certificates=row.tls_client_certificate_bound_access_tokens,
            is_fapi=is_fapi,
            demands_nonces=row.dpop_nonces,
            privacy_url=row.privacy_url,
            terms_url=row.terms_url,
            document_url=row.document_url,
            web_origins=frozenset(row.web_origins),
            secrets=tuple(_known_secret(secret) for secret in secrets),
            public_keys=_public_keys(row, key_set),
            keys_until=key_set.counts_until.timestamp() if key_set is not None else float("inf"),
            publishes_keys=key_set is not None or bool(row.document_url and row.jwks),
            jwks_frozen=row.jwks_frozen,
            rate_per_second=row.rate_per_second,
            held_roles=tuple(held_roles),
        )


def known_origins(realm: KnownRealm) -> frozenset[str]:
    """Return the web origins of all enabled applications of a realm, from memory: what is to be told before one is known."""
    cache = realm.runtime.feed.cache("web-origins")
    found: frozenset[str] | None = cache.get(realm.name)
    return found if found is not None else cache.load(realm.name, lambda: _read_origins(realm))


def _read_origins(realm: KnownRealm) -> frozenset[str]:
    with reading() as session:
        query = select(Application.web_origins).where(Application.realm_id == realm.id, Application.enabled.is_(True))
        return frozenset(origin for origins in session.scalars(query.where(HAS_ORIGINS)) for origin in origins)


def _known_secret(secret: ApplicationSecret) -> KnownSecret:
    return KnownSecret(
        id=secret.id,
        name=secret.name,
        pepper=vault.pepper(secret.pepper_id),
        secret_hash=secret.secret_hash,
        expires_at=secret.expires_at.timestamp() if secret.expires_at else float("inf"),
        single_use=secret.single_use,
        frozen=secret.frozen,
        credential=name_of_secret(secret.uid),
    )


def _public_keys(row: Application, key_set: ApplicationKeySet | None) -> tuple[PublicKey, ...]:
    """Return the keys that assertions may be signed with. One that was taken once and is known to be weak now is passed over."""
    found = []
    for jwk in key_set.fetched_keys if key_set is not None else (row.jwks or {}).get("keys", ()):
        try:
            key = public_key_of(jwk)
            is_kept_here = key_set is None and not row.document_url
            found.append(replace(key, credential=name_of_key(row.uid, jwk)) if is_kept_here else key)
        except InvalidTokenError as error:
            _log.warning("a public key of application %s is not accepted any more: %s", row.name, error)
    return tuple(found)
