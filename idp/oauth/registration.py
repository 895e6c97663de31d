"""What an application says of itself when it registers, and what becomes of that (RFC 7591 §2, OpenID Connect Registration §2).

Not by Authlib's endpoint: its checks take a text for a list of letters, and pass members of a wrong type on.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from idp.applications import Application, ApplicationSheet, Kind, allowed_grants, check_redirect_uris
from idp.errors import InvalidMembersError
from idp.oauth.client_auth import PUBLIC
from idp.oauth.errors import InvalidClientMetadataError, InvalidRedirectUriError
from idp.oauth.grants.device_code import DEVICE_GRANT
from idp.realms import Algorithm

GRANTS = {"authorization_code": "authorization_code", "refresh_token": "refresh_token", DEVICE_GRANT: "device_code"}
"""Grants that can be registered, as the protocol names them and as we do."""

NOT_SUPPORTED = (
    "sector_identifier_uri", "software_statement", "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc", "userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc",
    "request_object_signing_alg", "request_object_encryption_alg",
    "request_object_encryption_enc", "request_uris", "default_max_age", "frontchannel_logout_uri",
)  # fmt: skip # a list of words
"""Refused, since to pass over them would leave out what the application relies on. Others are ignored (RFC 7591 §2)."""

_MEMBERS = {"privacy_url": "policy_uri", "terms_url": "tos_uri", "display_name": "client_name"}
"""What the protocol calls fields of ours that it calls otherwise."""

_NOT_SAID = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What cannot be in a description (RFC 6749 §5.2)."""


class ClientMetadata(BaseModel):
    """What an application says of itself."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    redirect_uris: list[str] = Field(default=[], max_length=50)
    policy_uri: str = ""
    tos_uri: str = ""
    token_endpoint_auth_method: Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"] = (
        "client_secret_basic"  # noqa: S105 (a method)
    )
    grant_types: list[str] = Field(default=["authorization_code"], min_length=1, max_length=10)
    response_types: list[Literal["code"]] = ["code"]
    application_type: Literal["web", "native"] = "web"
    client_name: str = Field(default="", max_length=200)
    scope: str | None = Field(default=None, max_length=2_000)
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    id_token_signed_response_alg: Algorithm | None = None
    userinfo_signed_response_alg: Algorithm | None = None
    subject_type: Literal["public"] = "public"
    post_logout_redirect_uris: list[str] = Field(default=[], max_length=50)
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    require_pushed_authorization_requests: bool = False
    dpop_bound_access_tokens: bool = False
    tls_client_certificate_bound_access_tokens: bool = False

    @property
    def kind(self) -> Kind:
        """What kind of application that is."""
        if self.token_endpoint_auth_method != PUBLIC:
            return Kind.WEB
        return Kind.NATIVE if self.application_type == "native" else Kind.BROWSER

    @property
    def signing_algorithm(self) -> Algorithm | None:
        """What its tokens are signed with, and UserInfo if it is signed; None for the realm's."""
        return self.id_token_signed_response_alg or self.userinfo_signed_response_alg

    @property
    def has_secret(self) -> bool:
        """Whether it authenticates with a secret."""
        return self.token_endpoint_auth_method.startswith("client_secret_")


def read_metadata(sent: Mapping[str, Any]) -> ClientMetadata:
    """Return what an application says of itself. A member that is null is as if it were left out (RFC 7591 §2).

    :raises InvalidRedirectUriError: a redirect URI is none.
    :raises InvalidClientMetadataError: something else is not usable, or not supported.
    """
    said = {name: value for name, value in sent.items() if value is not None}
    unsupported = [name for name in NOT_SUPPORTED if said.get(name)]
    if unsupported:
        raise InvalidClientMetadataError(f"{unsupported[0]} is not supported.")
    try:
        metadata = ClientMetadata.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        raise _refusal(str(first["loc"][0]), first["msg"]) from None
    unknown = [grant for grant in metadata.grant_types if grant not in GRANTS]
    if unknown:
        raise InvalidClientMetadataError(f"grant_types takes {', '.join(GRANTS)}.")
    if metadata.application_type == "native" and metadata.kind is Kind.WEB:
        raise InvalidClientMetadataError("A native application keeps no secret: use token_endpoint_auth_method none.")
    if "authorization_code" in metadata.grant_types and not metadata.redirect_uris:
        raise InvalidRedirectUriError("redirect_uris needs at least one URI.")
    if metadata.userinfo_signed_response_alg not in {None, metadata.signing_algorithm}:
        raise InvalidClientMetadataError("userinfo_signed_response_alg has to be id_token_signed_response_alg.")
    if metadata.jwks is not None and metadata.jwks_uri is not None:  # RFC 7591 §2
        raise InvalidClientMetadataError("jwks and jwks_uri do not go together.")
    has_keys = metadata.jwks is not None or metadata.jwks_uri is not None
    if (metadata.token_endpoint_auth_method == "private_key_jwt") != has_keys:  # noqa: S105 (a method)
        raise InvalidClientMetadataError("jwks or jwks_uri goes with token_endpoint_auth_method private_key_jwt.")
    return metadata


class Allowance(Protocol):
    """What applications may be that nobody has looked at."""

    @property
    def kinds(self) -> Sequence[str]:
        """The kinds that they may be of."""

    @property
    def scopes(self) -> Sequence[str]:
        """The scopes that they may ask people for."""


def sheet_of(metadata: ClientMetadata, token: Allowance, *, description: str) -> ApplicationSheet:
    """Return what an application is to be, within what its token allows. People are always asked for consent.

    :raises InvalidRedirectUriError: a redirect URI cannot be used.
    :raises InvalidClientMetadataError: something else is not usable, or not allowed.
    """
    if metadata.kind.value not in token.kinds:
        raise InvalidClientMetadataError(f"The registration token is for applications of the kinds {', '.join(token.kinds)}.")
    scopes = token.scopes if metadata.scope is None else [each for each in token.scopes if each in metadata.scope.split()]
    if not scopes:
        raise InvalidClientMetadataError(f"The registration token allows the scopes {' '.join(token.scopes)}.")
    _check_uris(metadata)
    values = {
        "description": description,
        "kind": metadata.kind.value,
        "display_name": metadata.client_name,
        "privacy_url": metadata.policy_uri,
        "terms_url": metadata.tos_uri,
        "redirect_uris": metadata.redirect_uris,
        "post_logout_redirect_uris": metadata.post_logout_redirect_uris,
        "backchannel_logout_uri": metadata.backchannel_logout_uri,
        "grant_types": [GRANTS[each] for each in dict.fromkeys(metadata.grant_types)],
        "scopes": list(scopes),
        "consent": True,
        "pushed_requests": metadata.require_pushed_authorization_requests,
        "dpop_bound_access_tokens": metadata.dpop_bound_access_tokens,
        "tls_client_certificate_bound_access_tokens": metadata.tls_client_certificate_bound_access_tokens,
        "signing_algorithm": metadata.signing_algorithm,
        "signed_userinfo": metadata.userinfo_signed_response_alg is not None,
        "web_origins": _origins(metadata),
        "jwks": metadata.jwks,
        "jwks_uri": metadata.jwks_uri,
    }
    try:
        return ApplicationSheet.read(values)
    except InvalidMembersError as error:
        name, reason = error.members[0]
        name = _MEMBERS.get(name, name)
        raise _refusal(name.partition(".")[0], reason) from None


def _origins(metadata: ClientMetadata) -> list[str]:
    """Return the origins of an application's own pages, which read what the token endpoint answers."""
    if metadata.kind is not Kind.BROWSER:
        return []
    parts = [urlsplit(uri) for uri in metadata.redirect_uris]
    return list(dict.fromkeys(f"{each.scheme}://{each.netloc}" for each in parts))


def _check_uris(metadata: ClientMetadata) -> None:
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        try:
            check_redirect_uris(getattr(metadata, name))
        except ValueError as error:
            raise _refusal(name, str(error)) from None


def _refusal(name: str, reason: str) -> InvalidClientMetadataError | InvalidRedirectUriError:
    kind = InvalidRedirectUriError if name in {"redirect_uris", "post_logout_redirect_uris"} else InvalidClientMetadataError
    return kind(in_description(f"{name} {reason}"))


def in_description(text: str) -> str:
    """Return a sentence with nothing in it that a description cannot have."""
    return _NOT_SAID.sub("?", text)[:500]


def describe(application: Application, algorithm: str, method: str) -> dict[str, Any]:
    """Return what is registered of an application, as the protocol names it (RFC 7591 §3.2.1).

    :param algorithm: of the realm, where it has chosen none.
    :param method: how it authenticates.
    """
    kind = Kind(application.kind)
    grants: Collection[str] = allowed_grants(kind, application.grant_types)
    described = {
        "client_id": application.name,
        "client_id_issued_at": int(application.created_at.timestamp()),
        "client_name": application.display_name or None,
        "policy_uri": application.privacy_url or None,
        "tos_uri": application.terms_url or None,
        "redirect_uris": application.redirect_uris,
        "token_endpoint_auth_method": method,
        "grant_types": [named for named, ours in GRANTS.items() if ours in grants],
        "response_types": ["code"],
        "application_type": "native" if kind is Kind.NATIVE else "web",
        "scope": " ".join(application.scopes),
        "jwks": application.jwks,
        "jwks_uri": application.jwks_uri,
        "id_token_signed_response_alg": application.signing_algorithm or algorithm,
        "userinfo_signed_response_alg": (application.signing_algorithm or algorithm) if application.signed_userinfo else None,
        "subject_type": "public",
        "post_logout_redirect_uris": application.post_logout_redirect_uris or None,
        "backchannel_logout_uri": application.backchannel_logout_uri,
        "require_pushed_authorization_requests": application.pushed_requests,
        "dpop_bound_access_tokens": application.dpop_bound_access_tokens,
        "tls_client_certificate_bound_access_tokens": application.tls_client_certificate_bound_access_tokens,
    }
    return {name: value for name, value in described.items() if value is not None}
