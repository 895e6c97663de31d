"""An API in Python, in a process of its own: what the READMEs in clients/ show in TypeScript and Go."""

import os

from flask import Flask, g

from idp.verifier import Recall, Verifier
from idp.verifier.flask import require_token

_issuer = os.environ["API_ISSUER"]
_verifier = Verifier(
    _issuer,
    os.environ["API_AUDIENCE"],
    session_tokens=bool(os.environ["API_SESSION_TOKENS"]),
    recall=Recall(_issuer) if os.environ["API_RECALL"] else None,
)
app = Flask(__name__)


@app.get("/")
@require_token(_verifier, roles="viewer")
def hello() -> str:
    """Greet whoever calls."""
    return f"Hello, {g.identity.client_id}.\n"
