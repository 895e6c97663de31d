"""An API that accepts Realmgate's access tokens. It shares nothing with the server but the realm's public key set.

    ISSUER=http://127.0.0.1:8080/auth/realms/acme AUDIENCE=https://jobs.acme.example python docs/examples/protected_api.py

Then call it with the token of an application that has that audience:

    curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:9090/whoami
    curl -H "Authorization: Bearer $TOKEN" -X POST http://127.0.0.1:9090/projects/vision/jobs
"""

import os
from typing import Any

from flask import Flask, g

from idp.verifier import Verifier
from idp.verifier.flask import require_token

app = Flask(__name__)

# One verifier for the life of the process: it keeps the key set, and fetches it again when keys rotate.
verifier = Verifier(os.environ["ISSUER"], audience=os.environ["AUDIENCE"])


@app.get("/whoami")
@require_token(verifier)
def whoami() -> dict[str, Any]:
    """Tell the caller who it is: any token that is meant for this API will do."""
    identity = g.identity
    projects = {name: sorted(roles) for name, roles in sorted(identity.projects.items())}
    return {"application": identity.client_id, "roles": sorted(identity.roles), "projects": projects}


@app.post("/projects/<project>/jobs")
@require_token(verifier, roles=("ml-engineer", "researcher"), project_argument="project")
def submit(project: str) -> dict[str, Any]:
    """Take a job: the caller must hold one of the roles on the very project that the URL names."""
    return {"submitted_by": g.identity.client_id, "project": project}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "9090")))
