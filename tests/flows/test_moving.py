"""A server moves to PostgreSQL and back again: whatever it gave out before goes on working, and what it recorded is whole."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.flows.test_people import call, make_person, session_token
from tests.serving import IDP, PATIENCE, PROJECT, Server, send, wait_until


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def make_lender(server: Server, folder: Path) -> dict[str, str]:
    """Keep a keyset, and return an application that it is lent to."""
    (folder / "id").write_text("AKIAIOSFODNN7EXAMPLE")
    (folder / "secret").write_text("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    keys = ("--key", f"pub={folder / 'id'}", "--key", f"pvt={folder / 'secret'}")
    server.idp("keysets", "create", "--realm", "acme", "--project", "vision", *keys, "provider", "aws", "backups aws")
    server.idp("roles", "create", "--realm", "acme", "borrower")
    server.idp("roles", "permit", "--realm", "acme", "borrower", "keysets:lease")
    return server.create_application("mailer", "--project", "vision:borrower", "--audience", server.issuer())


def lend(server: Server, token: str) -> dict[str, Any]:
    answer = call(server, "POST", "/v1/leases", {"spec": {"keyset": "backups aws", "reason": "a test"}}, bearer(token))
    assert answer.status == 201, answer.body
    values: dict[str, Any] = answer.json["values"]
    return values


def move_as_documented(server: Server, url: str) -> None:
    """Run the commands of the how-to page, all but the start of the server."""
    page = (PROJECT / "docs" / "how-to.md").read_text()
    (block,) = re.findall(r"```sh move\n(.*?)\nidp serve\n```", page, flags=re.DOTALL)
    script, found = re.subn(r"(?<=IDP_COPY_TO=)postgresql://\S+", f"'{url}'", block)
    assert found == 1
    environment = server.environment | {"PATH": f"{Path(IDP).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", script], env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=5 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was written." in done.stdout
    assert str(server.data_dir / "audit.seen") in done.stdout
    assert "acme: whole" in done.stdout


def test_everything_that_was_given_out_goes_on_working(tmp_path: Path, database_url: str) -> None:
    pushed = tmp_path / "pushed.jsonl"
    pushing = {"IDP_AUDIT_SEAL_SECONDS": "0.1", "IDP_AUDIT_PUSH_FILE": str(pushed), "IDP_AUDIT_PUSH_SECONDS": "0"}
    server = Server(tmp_path / "data", settings=pushing).start()
    file = f"sqlite:///{tmp_path / 'back.db'}"
    try:
        mailer, ann = make_lender(server, tmp_path), "ann@example.test"
        uid = make_person(server, ann, "--role", "administrator")
        session = session_token(server, ann)
        key = call(server, "POST", "/v1/apiKeys", {}, bearer(session)).json["apiKey"]
        personal = call(server, "GET", "/auth/v1/tokens/generate", headers=bearer(session)).json["token"]
        token, revoked = (server.token(mailer).json["access_token"] for _ in range(2))
        form = {"client_id": mailer["client_id"], "client_secret": mailer["client_secret"]}
        assert send(server.endpoint("revoke"), form | {"token": revoked}).status == 200
        values = lend(server, token)
        certs = send(server.endpoint("certs")).json
        for url in (database_url, file):
            wait_until(lambda: " 0 not sealed" in server.idp("audit", "verify", "--realm", "acme"), "the sealing")
            server.stop()
            server.idp("database", "copy", "--to", url)
            server.settings["IDP_DATABASE_URL"] = url
            server.start()
            assert send(server.endpoint("certs")).json == certs
            for header in (bearer(session), bearer(personal), {"apiKey": key}):
                answer = call(server, "GET", "/v1/users/info", headers=header)
                assert (answer.status, uid.encode() in answer.body) == (200, True), answer.body
            for each, active in ((token, True), (revoked, False)):
                assert send(server.endpoint("token/introspect"), form | {"token": each}).json["active"] is active
            assert session_token(server, ann) != session
            assert lend(server, token) == values
            assert server.token(mailer).status == 200
            leases = json.loads(server.idp("leases", "list", "--realm", "acme", "--json"))
            assert len({lease["uid"] for lease in leases}) == 2 + (url == file)
            verified = json.loads(server.idp("audit", "verify", "--checkpoints", str(pushed), "--json"))
            assert [report["problems"] for report in verified] == [[]] * len(verified)
            assert {report["realm"] for report in verified} == {"", "acme", "master"}
            assert "FAIL" not in server.idp("doctor")
    finally:
        server.stop()
