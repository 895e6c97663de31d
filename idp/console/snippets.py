"""How a program fetches a token, in the languages and places where programs are: ready to be copied, with its own values."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from shlex import quote

from idp import tokens

TOKEN_FILE = "token.json"  # noqa: S105 (a name, no secret)
"""Where commands put what the token endpoint answers: a token is for no terminal, and for no log of a pipeline."""

FROM_THE_SHELL = '"client_assertion=$ASSERTION"'
"""The parameter of a request for which the line before it has found the assertion."""


@dataclass(frozen=True)
class Snippet:
    """A text to copy."""

    title: str
    file: str
    """What it is called when it is downloaded."""
    text: str = field(repr=False)


def snippets(issuer: str, client_id: str, secret: str) -> Sequence[Snippet]:
    """Return what a program with a secret can begin with.

    :param issuer: of the realm.
    """
    url = token_url(issuer)
    curl = tokens.curl_command(issuer, client_id, secret)
    return (
        Snippet("curl", f"{client_id}.sh", curl),
        Snippet("Python", "token.py", _PYTHON.format(url=url, client_id=client_id, secret=secret)),
        Snippet("Node", "token.mjs", _NODE % {"url": url, "client_id": client_id, "secret": secret}),
        Snippet("Go", "token.go", _GO % {"url": url, "client_id": client_id, "secret": secret}),
        Snippet("Java", "Token.java", _JAVA % {"url": url, "client_id": client_id, "secret": secret}),
        Snippet(".env", f"{client_id}.env", environment(issuer, client_id) + f"OIDC_CLIENT_SECRET={secret}\n"),
        Snippet("Kubernetes Secret", f"{client_id}.yaml", _kubernetes(issuer, client_id, secret)),
        Snippet("GitHub Actions", "token.yml", _ACTIONS % {"url": url, "client_id": client_id}),
    )


def token_url(issuer: str) -> str:
    """Return where a realm issues tokens."""
    return f"{issuer}/protocol/openid-connect/token"


def environment(issuer: str, client_id: str) -> str:
    """Return variables of an environment that say who a program is, and where its tokens come from."""
    return f"OIDC_ISSUER={issuer}\nOIDC_TOKEN_URL={token_url(issuer)}\nOIDC_CLIENT_ID={client_id}\n"


def asserted_request(issuer: str, client_id: str, assertion: str, *, output: str = TOKEN_FILE) -> str:
    """Return the command that fetches a token with a signed assertion in the place of a secret (RFC 7523 §2.2).

    :param assertion: the argument of curl's `--data-urlencode`, as the shell is to read it.
    :param output: the file for the answer; empty for what reads the command's output.
    """
    return _ASSERTED.format(
        output=f"--output {output} " if output else "",
        url=quote(token_url(issuer)),
        client_id=quote(f"client_id={client_id}"),
        assertion=assertion,
    )


_ASSERTED = """\
curl --fail --silent --show-error {output}\\
  --data grant_type=client_credentials \\
  --data-urlencode {client_id} \\
  --data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\
  --data-urlencode {assertion} \\
  {url}"""

_PYTHON = """\
# pip install authlib requests
from authlib.integrations.requests_client import OAuth2Session

session = OAuth2Session("{client_id}", "{secret}")
token = session.fetch_token("{url}", grant_type="client_credentials")
print(token["access_token"])
"""

_NODE = """\
// Node 18 or later
const answer = await fetch("%(url)s", {
  method: "POST",
  headers: { Authorization: "Basic " + btoa("%(client_id)s:%(secret)s") },
  body: new URLSearchParams({ grant_type: "client_credentials" }),
});
const { access_token } = await answer.json();
console.log(access_token);
"""

_GO = """\
// go get golang.org/x/oauth2
package main

import (
\t"context"
\t"fmt"
\t"log"

\t"golang.org/x/oauth2/clientcredentials"
)

func main() {
\tconfig := clientcredentials.Config{
\t\tClientID:     "%(client_id)s",
\t\tClientSecret: "%(secret)s",
\t\tTokenURL:     "%(url)s",
\t}
\ttoken, err := config.Token(context.Background())
\tif err != nil {
\t\tlog.Fatal(err)
\t}
\tfmt.Println(token.AccessToken)
}
"""

_JAVA = """\
// Java 11 or later
import java.net.URI;
import java.net.http.*;
import java.util.Base64;

public class Token {
    public static void main(String[] args) throws Exception {
        String basic = Base64.getEncoder().encodeToString("%(client_id)s:%(secret)s".getBytes());
        HttpRequest request = HttpRequest.newBuilder(URI.create("%(url)s"))
            .header("Authorization", "Basic " + basic)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString("grant_type=client_credentials"))
            .build();
        System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
"""

_ACTIONS = """\
# keep the secret as OIDC_CLIENT_SECRET in the settings of the repository, not in this file
- name: Fetch a token
  run: |
    token=$(curl --fail --silent --user "%(client_id)s:$OIDC_CLIENT_SECRET" \\
      --data grant_type=client_credentials %(url)s | jq --raw-output .access_token)
    echo "::add-mask::$token"
    echo "TOKEN=$token" >> "$GITHUB_ENV"
  env:
    OIDC_CLIENT_SECRET: ${{ secrets.OIDC_CLIENT_SECRET }}
"""


def _kubernetes(issuer: str, client_id: str, secret: str) -> str:
    """Return a Secret; its name may hold no underscores."""
    values = {"issuer": issuer, "client-id": client_id, "client-secret": secret}
    lines = [f"  {name}: {base64.b64encode(value.encode()).decode()}" for name, value in values.items()]
    name = json.dumps(client_id.replace("_", "-"))
    return "\n".join(["apiVersion: v1", "kind: Secret", "metadata:", f"  name: {name}", "type: Opaque", "data:", *lines, ""])
