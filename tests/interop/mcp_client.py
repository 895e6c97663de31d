"""MCP's client, unchanged: calls an MCP server, and gets a token for it from where the server's refusal leads.

    python mcp_client.py <URL of the MCP server> <redirect URI> <how> <what>

How: `registered` with a registration token, `document` with the URL of a client ID metadata document, `machine` with an id and a
secret. It prints where a person has to go, reads where they were sent back to, and prints what it found as JSON. The package is
found on PYTHONPATH.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

server, redirect_uri, how, what = sys.argv[1:]


class Storage:
    """Tokens and registration, in memory."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client: Any) -> None:
        self.client = client


async def go(url: str) -> None:
    print(url, flush=True)


async def come_back() -> AuthorizationCodeResult:
    said = parse_qs(urlsplit(await asyncio.to_thread(sys.stdin.readline)).query)
    return AuthorizationCodeResult(code=said["code"][0], state=said["state"][0], iss=said["iss"][0])


async def with_token(request: Any) -> None:
    """Add the token that registering takes here, which the client leaves to whoever uses it."""
    if how == "registered" and "/clients-registrations/" in str(request.url):
        request.headers["Authorization"] = f"Bearer {what}"


def provider(storage: Storage) -> Any:
    if how == "machine":
        client_id, _, rest = what.partition(" ")
        secret, _, issuer = rest.partition(" ")
        return ClientCredentialsOAuthProvider(server, storage, client_id, secret, issuer=issuer)
    metadata = OAuthClientMetadata(
        client_name="Tool in Python",
        redirect_uris=[redirect_uri],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    url = what if how == "document" else None
    return OAuthClientProvider(server, metadata, storage, go, come_back, client_metadata_url=url)


async def main() -> None:
    storage = Storage()
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    async with httpx2.AsyncClient(auth=provider(storage), event_hooks={"request": [with_token]}) as client:
        answer = await client.post(server, json=body)
    answer.raise_for_status()
    found = {
        "server": answer.json()["result"]["serverInfo"]["name"],
        "client": storage.client.client_id if storage.client else what.partition(" ")[0],
        "tokens": storage.tokens.model_dump(mode="json", exclude_none=True),
    }
    print(json.dumps(found))


asyncio.run(main())
