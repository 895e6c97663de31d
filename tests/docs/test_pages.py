"""The how-to pages on keys, exchange, the gateway and personal tokens work word by word, each on a server of its own."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from idp import crypto
from tests.docs.test_tutorial import folder, server, surroundings  # noqa: F401 (fixtures)
from tests.federation.issuing import kubernetes
from tests.serving import PATIENCE, PROJECT, Server

DOCS = PROJECT / "docs"
EXPECTED = {
    "api.md": ['"clientsecret":', "etag: ", "kind,holder,via,role"],
    "audit.md": ["acme: whole"],
    "api-keys.md": ['"credential":"api_key"', "revoked", "idp_ak_"],
    "exchange.md": ["urn:realmgate:params:oauth:token-type:session-token", "urn:ietf:params:oauth:token-type:access_token"],
    "bound-tokens.md": ["dpop\n", '"error":"invalid_token"', "night-report"],
    "key-pairs.md": ['"kid":"first"', '"token_type":"bearer"'],
    "keysets.md": [
        "https://my-bucket.s3.eu-central-1.amazonaws.com/reports/2026.pdf?",
        "not leased since",
        "none is damaged",
    ],
    "gateway.md": ["x-auth-subject: ", "x-auth-realm: acme"],
    "signals.md": ['"authorization_schemes"', "caep/event-type/session-revoked", '{"sets": {}}'],
    "sign-in.md": ['"registration_access_token":', '"user_code":', "created application idp"],
    "federation.md": ["assertions of cluster that match builder admit builder.", "of jobs is ann@acme.example"],
    "mcp.md": ['"client_id_metadata_document_supported":true', '"aud":"https://tools.acme.example/mcp"'],
    "personal-tokens.md": ['"success":true', '"active":true'],
}
LOGO = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""The reader's own, which a page speaks of; the key set of their cluster is another."""


def blocks(page: str, kind: str = "sh") -> list[str]:
    return re.findall(rf"^ *```{kind}\n(.*?)^ *```", (DOCS / page).read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("page", EXPECTED)
def test_every_command_of_the_page_works(page: str, folder: Path, server: Server) -> None:
    server.stop()
    if page != "keysets.md":  # there, no proxy stands between
        server.settings["IDP_TRUSTED_PROXIES"] = "127.0.0.1"
    server.start()
    first = blocks("api-keys.md")[:1] if page == "personal-tokens.md" else []  # where that page says Ann gets her password
    script = "set -eu\n. .venv/bin/activate\n" + "\n".join(first + blocks(page))
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace("https://id.example.com", server.url)
    logo = folder / "logo.png"
    logo.write_bytes(base64.b64decode(LOGO))
    keys = folder / "keys.json"
    keys.write_text(json.dumps(kubernetes().jwks))
    done = subprocess.run(
        ["bash", "-c", script],
        env=surroundings(server),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.replace('": "', '":"').replace('": true', '":true').lower()
    for expected in EXPECTED[page]:
        assert expected.lower() in said, expected
    logo.unlink()
    keys.unlink()
    assert sorted(path.name for path in folder.iterdir()) == [".venv", "docs", "idp", "realms", "var"]


def test_published_check_of_the_checksum_is_right() -> None:
    (program,) = blocks("api-keys.md", "python")
    good, bad = crypto.make_secret("ak"), crypto.make_secret("cs")[:-1] + "!"
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    done = subprocess.run(
        ["python3", "-c", program], input=f"x {good} y\n{wrong}\n{bad}", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{good[:15]} secret", f"{wrong[:15]} no secret"]


def test_published_rules_for_scanners_find_secrets_and_nothing_else() -> None:
    import tomllib

    (rule,) = tomllib.loads(blocks("api-keys.md", "toml")[0])["rules"]
    (detector,) = blocks("api-keys.md", "yaml")
    expression = re.search(r"secret: '(.*)'", detector)
    assert expression is not None
    for pattern in (rule["regex"], expression[1]):
        for kind in ("ak", "cs", "ol"):
            assert re.search(pattern, f'key = "{crypto.make_secret(kind)}"')
        assert not re.search(pattern, "idp_ak_short idp_xx_" + "a" * 57)


def test_the_program_that_is_lent_a_credential_signs_as_the_cloud_expects() -> None:
    import runpy
    from datetime import UTC, datetime

    program = runpy.run_path(str(DOCS / "examples" / "presign.py"))
    link = program["presign"](  # the example that the cloud's own documentation gives
        "examplebucket",
        "us-east-1",
        "test.txt",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        datetime(2013, 5, 24, tzinfo=UTC),
        86_400,
    )
    assert link.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
