"""A program that is lent a cloud credential, uses it, and gives it back: it makes a download link for an object in S3.

    export ISSUER=http://127.0.0.1:8080/auth/realms/acme CLIENT_ID=… CLIENT_SECRET=… KEYSET="backups aws"
    python docs/examples/presign.py my-bucket eu-central-1 reports/2026.pdf

It has no cloud credential of its own: none is in its configuration, on its disk, or in its environment.
"""

import hashlib
import hmac
import json
import os
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

LIFE = 300
"""Seconds that a link works."""


def call(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    """Send a request, and return what is answered."""
    request = urllib.request.Request(url, body, headers or {}, method=method)  # noqa: S310 (the issuer is configured)
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 (the issuer is configured)
        text = response.read()
    return json.loads(text) if text else None


@contextmanager
def lent(issuer: str, client_id: str, client_secret: str, keyset: str, reason: str) -> Iterator[dict[str, str]]:
    """Be lent a keyset for as long as the block takes."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    token = call("POST", f"{issuer}/protocol/openid-connect/token", urllib.parse.urlencode(form).encode())["access_token"]
    server = issuer.partition("/auth/realms/")[0]
    show = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    wish = {"spec": {"keyset": keyset, "reason": reason, "seconds": LIFE}}
    lease = call("POST", f"{server}/v1/leases", json.dumps(wish).encode(), show)
    try:
        yield lease["values"]
    finally:
        call("DELETE", f"{server}/v1/leases/{lease['uid']}", headers=show)


def presign(bucket: str, region: str, key: str, key_id: str, secret: str, now: datetime, life: int = LIFE) -> str:
    """Return a link that lets whoever has it download an object (AWS Signature Version 4 in the query)."""
    host = f"{bucket}.s3.{region}.amazonaws.com" if region != "us-east-1" else f"{bucket}.s3.amazonaws.com"
    day, moment = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{day}/{region}/s3/aws4_request"
    query = urllib.parse.urlencode(
        {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{key_id}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(life),
            "X-Amz-SignedHeaders": "host",
        }
    )
    path = "/" + urllib.parse.quote(key)
    request = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signing_key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    return f"https://{host}{path}?{query}&X-Amz-Signature={hmac.digest(signing_key, text.encode(), 'sha256').hex()}"


if __name__ == "__main__":
    bucket, region, key = sys.argv[1:]
    account = os.environ["ISSUER"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
    with lent(*account, os.environ["KEYSET"], f"download link for {key}") as values:
        print(presign(bucket, region, key, values["pub"], values["pvt"], datetime.now(UTC)))
