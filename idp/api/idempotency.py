"""`Idempotency-Key`: a create that is sent again after its answer was lost makes nothing anew, and is answered as the first was.

After draft-ietf-httpapi-idempotency-key-header: the key belongs to who sends it and to the URL; another body under the same
key is refused. The answer is kept for a day, sealed, for it may hold a secret that is shown once.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from flask import request

from idp import clock, vault
from idp.api.errors import KeyReusedError
from idp.callers import Caller
from idp.db import db
from idp.errors import InvalidValueError
from idp.kept_answers import KEEP, KeptAnswer
from idp.web.body import read_body

LONGEST_KEY = 200


@dataclass(frozen=True)
class Once:
    """A create that carries a key."""

    key: str
    fingerprint: str

    def recall(self) -> tuple[dict[str, Any], str] | None:
        """Return body and Location of the answer that was given before; None when this is the first.

        The caller's realm is locked, so of two at once the second sees what the first has stored.

        :raises KeyReusedError: the key was used for another body.
        """
        row = db.session.get(KeptAnswer, self.key)
        if row is None or row.created_at < clock.now() - KEEP:
            return None
        if row.fingerprint != self.fingerprint:
            raise KeyReusedError
        kept = json.loads(vault.unseal(row.sealed, context=f"answer {self.key}"))
        return kept["body"], kept["location"]

    def keep(self, body: dict[str, Any], location: str) -> None:
        """Store the answer, in the transaction of the act itself."""
        content = json.dumps({"body": body, "location": location}).encode()
        sealed = vault.seal(content, context=f"answer {self.key}")
        db.session.merge(KeptAnswer(key=self.key, fingerprint=self.fingerprint, sealed=sealed, created_at=clock.now()))


def once(caller: Caller) -> Once | None:
    """Return the key of the request, or None if it has none.

    :raises InvalidValueError: it is empty, too long, or not printable ASCII.
    """
    value = request.headers.get("Idempotency-Key")
    if value is None:
        return None
    text = value.strip().strip('"')
    if not (1 <= len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()):
        raise InvalidValueError(f"Idempotency-Key takes 1 to {LONGEST_KEY} printable ASCII characters, such as a UUID.")
    # who carries less than when it was made, by a narrower credential or since a role was lost, is not shown what was made
    carried = sorted([each.role, each.project] for each in caller.held_roles if clock.timestamp() < each.until)
    whom = [
        caller.realm.uid,
        caller.subject.uid,
        caller.key,
        request.headers.get("X-Organization-Id", ""),
        request.method,
        request.path,
    ]
    key = hashlib.sha256(json.dumps([*whom, carried, text]).encode()).hexdigest()
    scope = f"{request.headers.get('ProjectUid', '')}?{request.query_string.decode('latin-1')}\n".encode()
    _, fingerprint = vault.hash_secret(hashlib.sha256(scope + read_body(request.environ)).hexdigest())
    return Once(key, fingerprint.hex())
