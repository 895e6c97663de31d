"""Every claim of every token: what it says, what it means, and which tokens say it, in which order.

All that names claims follows from here: the tokens (`claims.write_claims`), `claims_supported` of discovery, the answers of
introspection and userinfo, what the console explains of a token, and the table in docs/protocol.md. A new claim is an entry of
`CLAIMS`, and its name in the forms that say it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from idp.access import permissions_on
from idp.applications import KnownApplication, Origin
from idp.realms import KnownRealm
from idp.tokens.token_roles import TokenRoles
from idp.users import KnownUser

SERVICE_ACCOUNT = "service-account-"
"""How the `preferred_username` of an application begins. No application and no user is called so."""

Subject = KnownApplication | KnownUser
"""Whose token it is."""


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of token, by what it says."""

    title: str
    """What it is called in the documentation."""
    names: tuple[str, ...]
    """Its claims, in the order in which they are written. What is not true of one token is left out of it."""
    too_large: str
    """What to say when it does not fit in a header; `{projects}` stands for the number of projects in it."""
    typ: str | None = None
    """The value of its claim `typ`."""
    scoped: Mapping[str, str] = field(default_factory=dict)
    """Claims that it says only if a scope was granted, and which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one token is to say: its claims are worked out from this, and from nothing else."""

    form: Form
    realm: KnownRealm
    subject: Subject | None = None
    """Whose it is; None where a token that was exchanged says it."""
    held: TokenRoles
    audience: str | Sequence[str]
    party: str | None = None
    """`azp`: the application that it is issued to."""
    client_id: str | None = None
    """The same for RFC 9068; the gateway names the caller's application instead."""
    scope: str = ""
    actor: dict[str, Any] | None = None
    limit: list[list[Any]] | None = None
    """What the credential carries at most; see `access.freeze`."""
    exchanged: Mapping[str, Any] = field(default_factory=dict)
    """The claims of the token that it is exchanged for."""
    origin: Sequence[str] = ()
    credential: str = ""
    """What names the credential that the application has shown; empty for none that is kept here."""
    sid: str | None = None
    key: str | None = None
    auth_method: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    nonce: str | None = None
    by_word_of: Origin | None = None
    """Who has let the application act for a person, where that was not the person here."""
    grant_id: str | None = None
    """The authorization that a person's token is of."""
    named: frozenset[str] = frozenset()
    """Claims that were asked for by name, beside those of the scopes."""
    issued_at: int | None = None
    """Where the claims are worked out again for each token; else the times are added when it is signed."""
    expires_at: int | None = None
    jti: str | None = None

    @property
    def whose(self) -> Subject:
        """Its subject, where that is known."""
        assert self.subject is not None
        return self.subject

    @property
    def person(self) -> KnownUser | None:
        """Its subject, if that is a user."""
        return self.subject if isinstance(self.subject, KnownUser) else None


Value = Callable[[Statement], Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim."""

    name: str
    meaning: str
    """For those who read a token in the console or the documentation."""
    value: Value
    """Returns what it says, a JSON value; None leaves it out."""
    advertised: bool = True
    """Whether discovery lists it (OpenID Connect Discovery §3, `claims_supported`)."""
    passed_on: bool = False
    """Whether a token that is exchanged for this one says the same."""


def _preferred_username(said: Statement) -> str:
    subject = said.whose
    return SERVICE_ACCOUNT + subject.client_id if isinstance(subject, KnownApplication) else subject.name


def _audience(said: Statement) -> str | list[str]:
    if isinstance(said.audience, str):
        return said.audience
    return said.audience[0] if len(said.audience) == 1 else list(said.audience)


def _identity(said: Statement) -> dict[str, Any]:
    return {
        "uuid": said.whose.uid,
        "contractNumber": said.realm.contract_number,
        "role": "administrator" if "administrator" in said.held.roles else "user",
        "privileges": sorted(permissions_on(said.whose.held_roles)),
    }


def _full_name(said: Statement) -> str | None:
    person = said.person
    return f"{person.first_name} {person.last_name}".strip() or None if person is not None else None


def _of_person(value: Callable[[KnownUser], Any]) -> Value:
    """Return what reads something of a person; what is empty is left out (OpenID Connect Core §5.3.2)."""

    def read(said: Statement) -> Any:
        person = said.person
        found = value(person) if person is not None else None
        return None if found == "" else found

    return read


def _methods(said: Statement) -> list[str] | None:
    """Return how somebody has signed in, in the words of RFC 8176."""
    return ["pwd"] if said.auth_method == "password" else None


def _origin(said: Statement) -> dict[str, str] | None:
    origin = said.subject.origin if isinstance(said.subject, KnownApplication) else said.by_word_of
    return _admission(origin) if origin is not None else None


def _admission(origin: Origin) -> dict[str, str]:
    return {"iss": origin.issuer, "sub": origin.subject} | ({"rule": origin.rule} if origin.rule else {})


def _credentials(said: Statement) -> str | list[str] | None:
    """Return what names the credentials of all who have fetched a token on the way, one after the other."""
    before = said.exchanged.get("credential", ())
    own = (said.credential,) if said.credential else ()
    found = list(dict.fromkeys((*((before,) if isinstance(before, str) else before), *own)))
    return (found[0] if len(found) == 1 else found) or None


def acting(actor: KnownApplication, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a token says of who acts for its subject, and by whose word they were admitted, if by anybody's.

    :param before: the same of the token that it is exchanged for; None for nobody.
    """
    said: dict[str, Any] = {"sub": actor.uid, "client_id": actor.client_id}
    if actor.origin is not None:
        said["federation"] = _admission(actor.origin)
    return said | ({"act": before} if before is not None else {})


def _when_signed(_: Statement) -> None:
    """Leave out what is not known before the token is signed."""


CLAIMS = (
    Claim(
        "iss",
        "Who issued it: this organisation. Verifiers compare it character by character.",
        lambda said: said.realm.issuer,
    ),
    Claim(
        "sub",
        "Who it is about: the application's own ID, which never changes and is never reused.",
        lambda said: said.whose.uid,
        passed_on=True,
    ),
    Claim("aud", "Who it is for. An API refuses tokens that are meant for another.", _audience),
    Claim("azp", "Which application it was issued to.", lambda said: said.party),
    Claim("exp", "When it expires.", lambda said: said.expires_at),
    Claim("iat", "When it was issued.", lambda said: said.issued_at),
    Claim("nbf", "When it becomes valid.", _when_signed),
    Claim("jti", "The token's own ID, for revoking it and finding it in the audit trail.", lambda said: said.jti),
    Claim("at_hash", "What ties it to the access token that came with it.", _when_signed),
    Claim("client_id", "Which application it was issued to (RFC 9068).", lambda said: said.client_id),
    Claim("scope", "The scopes that were granted.", lambda said: said.scope or None),
    Claim(
        "preferred_username",
        "A name for logs; never base a decision on it.",
        _preferred_username,
        passed_on=True,
    ),
    Claim("realm_access", "The roles that it carries on the whole organisation.", lambda said: said.held.on_realm),
    Claim(
        "resource_access",
        "The same roles, where Keycloak's adapters look for them.",
        lambda said: {said.client_id: said.held.on_realm},
    ),
    Claim("projects", "The projects that it has roles on, with the roles on each.", lambda said: said.held.projects),
    Claim(
        "federation",
        "By whose word its subject was admitted, and a program by which rule: it has shown no credential of its own here.",
        _origin,
        passed_on=True,
    ),
    Claim(
        "act",
        "Which application acts for its subject, with `federation` of its own, and for whom that one acted (RFC 8693).",
        lambda said: said.actor,
    ),
    Claim("sid", "The session, or the API key, that it ends with.", lambda said: said.sid, passed_on=True),
    Claim(
        "auth_method",
        "How its subject authenticated: `password`, `api_key`, or `token_exchange`.",
        lambda said: said.auth_method,
        passed_on=True,
    ),
    Claim(
        "cnf",
        "What it is bound to: the thumbprint of a key (`jkt`), or of a certificate (`x5t#S256`) (RFC 7800).",
        _when_signed,
        advertised=False,
    ),
    Claim("nonce", "What the application sent along, to see that the answer is to its own request.", lambda said: said.nonce),
    Claim("acr", "How surely its subject is known; `1` for a password.", lambda said: said.acr),
    Claim("amr", "How its subject signed in (RFC 8176).", _methods),
    Claim("name", "Full name.", _full_name),
    Claim("given_name", "First name.", _of_person(lambda person: person.first_name)),
    Claim("family_name", "Last name.", _of_person(lambda person: person.last_name)),
    Claim("email", "Email address.", _of_person(lambda person: person.email)),
    Claim(
        "email_verified",
        "Whether its subject has followed a link that was sent to that address.",
        _of_person(lambda person: person.email_verified if person.email else None),
    ),
    Claim("updated_at", "When what is known of its subject was last changed.", _of_person(lambda person: int(person.updated_at))),
    Claim("groups", "The groups that its subject is in.", _of_person(lambda person: list(person.groups))),
    Claim("typ", "What Keycloak's adapters expect to find.", lambda said: said.form.typ, advertised=False),
    Claim("auth_time", "When its subject signed in.", lambda said: said.auth_time),
    Claim(
        "grant_id",
        "The sign-in to an application that it belongs to, and ends with. For this server alone.",
        lambda said: said.grant_id,
        advertised=False,
        passed_on=True,
    ),
    Claim(
        "credential",
        "The secret or public key that it was fetched with, under a name of its own; it ends when that is retired or taken away.",
        _credentials,
        advertised=False,
    ),
    Claim("key", "The public part of the API key that it was exchanged for.", lambda said: said.key, advertised=False),
    Claim(
        "origin",
        "The IDs of the tokens that it was exchanged for: it is revoked with any of them.",
        lambda said: list(said.origin),
        advertised=False,
    ),
    Claim(
        "limited",
        "The most that its credential carries, whatever its subject is assigned later. For this server alone.",
        lambda said: said.limit,
        advertised=False,
        passed_on=True,
    ),
    Claim(
        "userinfo",
        "Claims that userinfo tells beside those of the scope. For this server alone.",
        lambda said: sorted(said.named) or None,
        advertised=False,
    ),
    Claim("client", "Always `USER`, as the clients of personal tokens expect.", lambda _: "USER", advertised=False),
    Claim("identity", "Who it is about, in the form that the clients of personal tokens expect.", _identity, advertised=False),
)
"""All of them, in the order in which discovery lists them."""

BY_NAME = {claim.name: claim for claim in CLAIMS}


def meaning_of(name: str) -> str:
    """Return what a claim means, for those who read a token; empty for what no token of ours says."""
    claim = BY_NAME.get(name)
    return claim.meaning if claim is not None else ""


def _names(text: str) -> tuple[str, ...]:
    return tuple(BY_NAME[name].name for name in text.split())


ACCESS = Form(
    "access token",
    _names(
        "iss sub azp preferred_username typ aud client_id realm_access resource_access projects limited federation scope "
        "credential iat nbf exp jti cnf"
    ),
    "The application has grants on {projects} projects, which do not fit in one token. "
    "Name those that are needed: scope=project:<name> project:<name>.",
    typ="Bearer",
)
ID = Form(
    "ID token",
    _names("iss sub azp preferred_username typ aud iat nbf exp jti at_hash"),
    "The ID token does not fit in a header.",
    typ="ID",
)
EXCHANGED = Form(
    "exchanged access token",
    _names(
        "iss sub preferred_username realm_access sid auth_method limited federation grant_id typ aud azp client_id projects act "
        "origin credential scope iat nbf exp jti cnf"
    ),
    "The roles do not fit in one token. Name the projects that are needed: scope=project:<name>.",
    typ="Bearer",
)
SCOPED_CLAIMS = {
    "name": "profile",
    "given_name": "profile",
    "family_name": "profile",
    "preferred_username": "profile",
    "updated_at": "profile",
    "email": "email",
    "email_verified": "email",
    "groups": "groups",
    "realm_access": "roles",
    "projects": "roles",
}
"""Claims of people, and the scope that asks for each (OpenID Connect Core §5.4)."""

PERSONS_ACCESS = Form(
    "person's access token",
    _names(
        "iss sub azp preferred_username typ aud client_id realm_access resource_access projects federation scope sid "
        "grant_id credential userinfo auth_time acr amr iat nbf exp jti cnf"
    ),
    "The grants on {projects} projects do not fit in one token. Name those that are needed: scope=project:<name> project:<name>.",
    typ="Bearer",
    scoped={"preferred_username": "profile"},
)
PERSONS_ID = Form(
    "person's ID token",
    _names(
        "iss sub azp typ aud sid auth_time acr amr nonce name given_name family_name preferred_username updated_at "
        "email email_verified groups realm_access projects iat nbf exp jti at_hash"
    ),
    "The grants on {projects} projects do not fit in one token. Name those that are needed: scope=project:<name> project:<name>.",
    typ="ID",
    scoped=SCOPED_CLAIMS,
)
PERSONS_INFO = Form(
    "answer of userinfo",
    _names("sub name given_name family_name preferred_username updated_at email email_verified groups realm_access projects"),
    "",
    scoped=SCOPED_CLAIMS,
)
UPSTREAM = Form(
    "gateway's token",
    _names("iss typ client_id azp sub realm_access projects preferred_username aud iat nbf exp jti"),
    "The roles do not fit in one token. Name the projects that are needed: scope=project:<name>.",
    typ="Bearer",
)
PERSONS_SESSION = Form(
    "person's session token",
    _names("iss aud sub preferred_username sid auth_method auth_time realm_access projects iat nbf exp jti"),
    "Grants on {projects} projects do not fit in one session token. Use a key for fewer projects.",
)
KEYS_SESSION = Form(
    "key's session token",
    _names(
        "iss aud sub sid key azp client_id preferred_username auth_method scope act credential realm_access projects iat nbf "
        "exp jti"
    ),
    "Grants on {projects} projects do not fit in one session token. Use a key for fewer projects.",
)
PERSONAL = Form(
    "personal token",
    _names("iss sub aud iat exp jti client preferred_username identity realm_access projects"),
    "Grants on {projects} projects do not fit in a personal token. Use an API key for some of them.",
)
FORMS = (ACCESS, ID, PERSONS_ACCESS, PERSONS_ID, PERSONS_INFO, EXCHANGED, UPSTREAM, PERSONS_SESSION, KEYS_SESSION, PERSONAL)

INTROSPECTED_CLAIMS = _names(
    "iss sub aud azp client_id scope exp iat nbf jti preferred_username realm_access resource_access projects federation act sid "
    "auth_method auth_time acr amr cnf"
)
"""What introspection tells of a token of any kind (RFC 7662 §2.2), in the order of its answer."""

USERINFO_CLAIMS = _names("sub preferred_username client_id")
"""What the bearer of an access token is told (OpenID Connect Core §5.3)."""

ADVERTISED_CLAIMS = tuple(claim.name for claim in CLAIMS if claim.advertised)
