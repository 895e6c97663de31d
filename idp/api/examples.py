"""Examples for the description of the API: values that look like those of the real thing, in the shape of the schema."""

from typing import Any

_BY_NAME: dict[str, Any] = {
    "apiKey": "idp_ak_EXAMPLE",
    "clientSecret": "idp_cs_EXAMPLE",
    "Authorization": "eyJhbGciOiJFUzI1NiJ9.EXAMPLE.EXAMPLE",
    "token": "eyJhbGciOiJFUzI1NiJ9.EXAMPLE.EXAMPLE",
    "continue": "",
    "name": "ci-bot",
    "clientId": "ci-bot",
    "orgName": "acme",
    "org": "acme",
    "emailId": "ann@example.com",
    "loginName": "ann@example.com",
    "firstName": "Ann",
    "lastName": "Archer",
    "displayName": "Acme Corporation",
    "description": "Builds and deploys",
    "role": "researcher",
    "roles": ["viewer"],
    "permissions": ["applications:read"],
    "audience": ["https://api.example.com"],
    "resources": [],
    "webOrigins": ["https://app.example.com"],
    "kind": "web",
    "redirectUris": ["https://app.example.com/signed-in"],
    "postLogoutRedirectUris": ["https://app.example.com/signed-out"],
    "backchannelLogoutUri": "https://app.example.com/backchannel-logout",
    "grants": [],
    "scopes": [],
    "kinds": ["web"],
    "brandColor": "#14539a",
    "brandLogo": "",
    "helpUrl": "https://acme.example.com/help",
    "privacyUrl": "https://acme.example.com/privacy",
    "termsUrl": "https://acme.example.com/terms",
    "addresses": ["192.0.2.0/24"],
    "address": "192.0.2.7",
    "lastUsedAddress": "192.0.2.7",
    "actor": "user:ann@example.com",
    "target": "application:ci-bot",
    "tag": "admin:application:create",
    "outcome": "success",
    "issuer": "https://id.example.com/auth/realms/acme",
    "createdBy": "user:ann@example.com",
    "givenBy": "user:ann@example.com",
    "revokeReason": "",
    "reason": "It was found in a public repository.",
    "head": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "checkpoint": "eyJhbGciOiJFUzI1NiJ9.EXAMPLE.EXAMPLE",
    "publicPart": "idp_ak_3fG7Kd9Q",
    "password": "a long and unusual one",
    "count": 1,
    "limit": 50,
    "offset": 0,
    "expiresIn": 900,
    "username": "ann@example.com",
    "machineName": None,
    "jwks": None,
    "jwksUri": None,
    "labels": {},
    "details": {},
    "entity": "aws",
    "keyset": "backups aws",
    "seconds": 900,
    "value": "AKIAIOSFODNN7EXAMPLE",
    "values": {"pub": "AKIAIOSFODNN7EXAMPLE", "pvt": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    "detail": {"role": "viewer"},
}

_UID = "3f0c1a52-8a4e-4f7e-9d55-6a4c6f1f2b10"
_TIME = "2027-06-30T12:00:00Z"


def example_of(  # noqa: PLR0911 (one for each kind of schema)
    schema: Any, definitions: dict[str, Any], name: str = ""
) -> Any:
    """Return an example of a schema.

    :param definitions: the schemas that it refers to, by name.
    :param name: of the member that it is the value of.
    """
    if "$ref" in schema:
        return example_of(definitions[schema["$ref"].rpartition("/")[2]], definitions, name)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "anyOf" in schema:
        choices = schema["anyOf"]
        if name in _BY_NAME and _BY_NAME[name] is None and {"type": "null"} in choices:
            return None
        return example_of(choices[0], definitions, name)
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return {key: example_of(value, definitions, key) for key, value in schema["properties"].items()}
    of_objects = "$ref" in str(schema.get("items", ""))
    if name in _BY_NAME and _fits(_BY_NAME[name], kind) and not of_objects:
        return _BY_NAME[name]
    return _by_type(schema, definitions, name)


def _fits(value: Any, kind: Any) -> bool:
    types = {"string": str, "integer": int, "array": list, "object": dict}
    return kind in types and isinstance(value, types[kind])


def _by_type(schema: dict[str, Any], definitions: dict[str, Any], name: str) -> Any:
    match schema.get("type"):
        case "string":
            if schema.get("format") == "date-time":
                return _TIME
            return _UID if "uid" in name.lower() or schema.get("format") == "uuid" else "text"[: schema.get("maxLength", 4)]
        case "integer" | "number":
            return schema.get("default", schema.get("minimum", 1))
        case "boolean":
            return schema.get("default", True)
        case "array":
            return [example_of(schema["items"], definitions, name.removesuffix("s"))] if schema.get("items") else []
    return {}
