"""The page of an application that has no secret: what is left to do, texts that work as they stand, and its first token."""

import html
import json
import re
import shlex
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idp import applications, federation, runtime, tokens
from idp.applications import ApplicationSheet
from idp.federation import FederationRuleSheet, TrustedIssuerSheet
from idp.federation.sheet import LineSheet
from idp.realms import Realm
from tests.console.surfing import Surfer
from tests.factories import Factory, ask, ask_token, assertion, key_pair, set_realm
from tests.federation.issuing import REALM_ISSUER, Issuer, github, kubernetes
from tests.serving import PROJECT

BASE = "/console/realms/acme"
TOKEN_URL = f"{REALM_ISSUER}/protocol/openid-connect/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def texts(surfer: Surfer) -> dict[str, str]:
    """Return the texts of a page that are there to be copied, by their titles."""
    found = re.findall(
        r'<details class="snippet"[^>]*><summary>([^<]*)</summary>.*?<pre[^>]*>(.*?)</pre>', surfer.text, re.DOTALL
    )
    return {html.unescape(title): html.unescape(text) for title, text in found}


def sent_by(command: str) -> tuple[str, dict[str, str]]:
    """Return the URL and the parameters that the last curl of a command would send; names of variables as they stand."""
    words = shlex.split(command[command.rindex("curl --fail") :])
    pairs = [words[at + 1].partition("=") for at, word in enumerate(words) if word in {"--data", "--data-urlencode"}]
    (url,) = (word for word in words if word.startswith("http"))
    return url, {name: value for name, _, value in pairs}


def expected(client_id: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": client_id, "client_assertion_type": ASSERTION_TYPE}


def trust(make: Factory, name: str, signer: Issuer | None = None, **fields: Any) -> None:
    """Have the realm trust an issuer."""
    keys = {"key_source": "uploaded", "jwks": signer.jwks} if signer is not None else {}
    make.do(lambda realm: federation.create_issuer(realm, name, TrustedIssuerSheet(**{**keys, **fields})))


def admit(make: Factory, name: str, application: str, **claims: str) -> None:
    """Have an issuer admit an application: the rule is called after both."""
    lines = [LineSheet(claim=claim, value=value) for claim, value in claims.items()]
    sheet = FederationRuleSheet(issuer=name, application=application, lines=lines)
    make.do(lambda realm: federation.create_rule(realm, f"{name}-{application}", sheet, frozen=None))


def without_secret(make: Factory, name: str, **fields: Any) -> None:
    make.do(lambda realm: applications.create_application(realm, name, ApplicationSheet(**fields)))


def flush(app: Flask) -> None:
    with app.app_context():
        tokens.usage(runtime.current()).flush()


def test_an_application_that_an_issuer_vouches_for_begins_with_the_rule_and_a_workflow(
    app: Flask, client: FlaskClient, ann: Surfer, make: Factory
) -> None:
    hub = github()
    trust(make, "hub", hub, preset="github")
    sent = {"name": "deployer", "lines": "repository_id=4711\nref=refs/heads/main"}
    ann.open(f"{BASE}/new-application").send("Create", sent)
    assert ann.url == f"{BASE}/applications/deployer/start"
    assert "Created." in ann.text
    links = ann.read().links
    assert {f"{BASE}/federation-rules/deployer", f"{BASE}/issuers/hub", f"{BASE}/explain?application=deployer"} <= set(links)
    assert f"{BASE}/access/give?holder=application%3Adeployer" in links, "its tokens permit nothing yet"
    shown = texts(ann)
    assert list(shown)[:2] == ["GitHub Actions", "curl"]
    workflow = yaml.safe_load(shown["GitHub Actions"])
    assert workflow["permissions"] == {"id-token": "write"}
    (step,) = workflow["steps"]
    assert step["shell"] == "bash", "which is told to fail where curl does"
    assert f"--data-urlencode audience={REALM_ISSUER}" in step["run"]
    for command, variable in ((step["run"], "$assertion"), (shown["curl"], "$ASSERTION")):
        url, form = sent_by(command.partition(" \\\n  | jq --raw-output .access")[0])
        assert (url, form) == (TOKEN_URL, {**expected("deployer"), "client_assertion": variable})
        answer = ask(client, "token", {**form, "client_assertion": hub.sign()})
        assert answer.status_code == 200
    assert f'data-url="{BASE}/applications/deployer/used"' in ann.text
    assert "Waiting for its first token" in ann.text
    flush(app)
    assert "It works: 2 tokens fetched" in ann.open(f"{BASE}/applications/deployer/used").text
    ann.open(f"{BASE}/applications/deployer/start")
    assert "It works: 2 tokens fetched" in ann.text, "at once, where it is opened later"
    assert "Waiting for its first token" not in ann.text


def test_each_issuer_that_may_vouch_has_its_own_text(ann: Surfer, make: Factory) -> None:
    trust(make, "hub", preset="github")
    trust(make, "lab", preset="gitlab", issuer="https://gitlab.example", audiences=["https://audience.example/lab"])
    trust(make, "cluster", preset="kubernetes", issuer="https://cluster.example")
    trust(make, "jobs", issuer="https://jobs.example", audiences=["api://jobs"])
    trust(make, "cloud", preset="google")
    trust(make, "apply", preset="terraform")
    trust(make, "steps", preset="buildkite")
    without_secret(make, "roamer")
    shown = texts(ann.open(f"{BASE}/applications/roamer/start"))
    names = ["HCP Terraform: apply", "Google Cloud: cloud", "Kubernetes: cluster", "GitHub Actions: hub", "GitLab: lab"]
    assert list(shown)[2:9] == [*names, "Buildkite: steps", "curl: jobs"]
    job = yaml.safe_load(shown["GitLab: lab"])["fetch-token"]
    assert job["id_tokens"] == {"ASSERTION": {"aud": "https://audience.example/lab"}}
    pod = yaml.safe_load(shown["Kubernetes: cluster"])
    ((container,), (volume,)) = pod["spec"]["containers"], pod["spec"]["volumes"]
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"] == {"audience": REALM_ISSUER, "expirationSeconds": 3600, "path": "token"}
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/var/run/realmgate", "readOnly": True}]
    assert "--data-urlencode client_assertion@/var/run/realmgate/token" in container["args"][0]
    assert "AUDIENCE=api://jobs\n" in shown["curl: jobs"]
    assert f"TFC_WORKLOAD_IDENTITY_AUDIENCE={REALM_ISSUER}\n" in shown["HCP Terraform: apply"]
    plain = [shown[title] for title in shown if title.startswith(("HCP", "Google", "Buildkite", "curl"))]
    assert len(plain) == 4
    for command in (job["script"][0], container["args"][0], *plain):
        url, form = sent_by(command)
        assert (url, form | expected("roamer")) == (TOKEN_URL, form)
    admit(make, "lab", "roamer", project_id="311")
    assert list(texts(ann.open(f"{BASE}/applications/roamer/start")))[:2] == ["GitLab", "curl"], (
        "only the one that vouches for it"
    )


def test_a_pod_is_admitted_by_what_is_mounted(client: FlaskClient, ann: Surfer, make: Factory) -> None:
    cluster = kubernetes()
    trust(make, "cluster", cluster, preset="kubernetes", issuer=cluster.url)
    without_secret(make, "builder")
    admit(make, "cluster", "builder", **{"kubernetes.io.serviceaccount.uid": "b5d0c3f6-0000-4000-8000-000000000003"})
    pod = yaml.safe_load(texts(ann.open(f"{BASE}/applications/builder/start"))["Kubernetes"])
    (source,) = pod["spec"]["volumes"][0]["projected"]["sources"]
    _, form = sent_by(pod["spec"]["containers"][0]["args"][0])
    del form["client_assertion@/var/run/realmgate/token"]
    mounted = cluster.sign(aud=[source["serviceAccountToken"]["audience"]])
    assert ask(client, "token", {**form, "client_assertion": mounted}).status_code == 200


def test_an_application_with_a_key_pair_begins_with_what_signs(client: FlaskClient, ann: Surfer) -> None:
    key, jwks = key_pair()
    ann.open(f"{BASE}/new-application").send("Create", {"name": "signer", "jwks": json.dumps(jwks)})
    assert ann.url == f"{BASE}/applications/signer/start"
    shown = texts(ann)
    assert list(shown) == ["Key pair: curl", "Key pair: Python", "New key pair", "Register its public half"]
    _, form = sent_by(shown["Key pair: curl"])
    assert form.pop("client_assertion") == "$ASSERTION"
    assert f"\nASSERTION=$(python assertion.py client-key signer {REALM_ISSUER})\n" in shown["Key pair: curl"]
    assert form == expected("signer")
    answer = ask(client, "token", {**form, "client_assertion": assertion(key, "signer", REALM_ISSUER)})
    assert answer.status_code == 200
    assert shown["Register its public half"] == "idp applications update --realm acme --jwks public-keys.json signer\n"
    assert "Explain an assertion</a> says" not in ann.text, "which is about what other issuers sign"


def test_scripts_are_those_of_the_page_on_key_pairs(ann: Surfer, make: Factory) -> None:
    written = (PROJECT / "docs" / "key-pairs.md").read_text()
    without_secret(make, "signer", jwks={"keys": [ECKey.generate_key("P-256", {"kid": "first"}).as_dict(private=False)]})
    shown = texts(ann.open(f"{BASE}/applications/signer/start"))
    for title, file in (("New key pair", "new_key.py"), ("Key pair: curl", "assertion.py")):
        (script,) = re.findall(rf"^cat > {file} <<'END'\n.*?^END\n", shown[title], re.DOTALL | re.MULTILINE)
        assert script in written, title


@pytest.mark.parametrize(
    ("key", "algorithm", "key_class"),
    [
        (lambda: RSAKey.generate_key(2048, {"kid": "k"}), "PS256", "RSAKey"),
        (lambda: RSAKey.generate_key(2048, {"kid": "k", "alg": "RS256"}), "RS256", "RSAKey"),
        (lambda: ECKey.generate_key("P-384", {"kid": "k"}), "ES384", "ECKey"),
        (lambda: OKPKey.generate_key("Ed25519", {"kid": "k"}), "Ed25519", "OKPKey"),
    ],
)
def test_what_signs_is_of_the_kind_that_is_registered(
    ann: Surfer, make: Factory, key: Any, algorithm: str, key_class: str
) -> None:
    without_secret(make, "signer", jwks={"keys": [key().as_dict(private=False)]})
    shown = texts(ann.open(f"{BASE}/applications/signer/start"))
    assert f'jwt.encode({{"alg": "{algorithm}", "kid": kid}}, claims, key, algorithms=["{algorithm}"])' in shown["Key pair: curl"]
    assert f'alg="{algorithm}"' in shown["Key pair: Python"]
    for title in ("Key pair: curl", "Key pair: Python"):
        assert f"{key_class}.import_key" in shown[title]
        compile(shown["Key pair: Python"], "token.py", "exec")


def test_a_key_without_a_name_is_not_named(ann: Surfer, make: Factory) -> None:
    without_secret(make, "signer", jwks={"keys": [ECKey.generate_key("P-256").as_dict(private=False)]})
    shown = texts(ann.open(f"{BASE}/applications/signer/start"))
    assert 'jwt.encode({"alg": "ES256"}, claims' in shown["Key pair: curl"]
    assert "headers={}" in shown["Key pair: Python"]


def test_no_text_has_a_secret(ann: Surfer, make: Factory) -> None:
    trust(make, "hub", preset="github")
    made = make.application("both")
    without_secret(make, "signer", jwks=key_pair()[1])
    for name in ("both", "signer"):
        ann.open(f"{BASE}/applications/{name}/start")
        assert len(texts(ann)) >= 4
        assert made.secret not in ann.text
        for part in ("client_secret", "idp_cs_", '"d"', "&#34;d&#34;", "PRIVATE KEY"):
            assert part not in ann.text, part


NO_PLAIN_YAML = """{*a:&b!"'\\"""

HOSTILE = """https://x.example/<b>&"'$(id)`id`;\\"""


def test_values_are_texts_to_the_page_and_to_the_shell(ann: Surfer, make: Factory) -> None:
    kid = HOSTILE + "\nEND\nid"
    trust(make, "hub", preset="github", audiences=[HOSTILE])
    trust(make, "lab", preset="gitlab", issuer="https://gitlab.example", audiences=[NO_PLAIN_YAML])
    trust(make, "pods", preset="kubernetes", issuer="https://pods.example", audiences=[HOSTILE])
    trust(make, "jobs", issuer="https://jobs.example", audiences=[HOSTILE])
    trust(make, "steps", preset="buildkite", audiences=[HOSTILE])
    without_secret(make, "roamer")
    ann.open(f"{BASE}/applications/roamer/start")
    assert "<b>" not in ann.text
    shown = texts(ann)
    step = yaml.safe_load(shown["GitHub Actions: hub"])["steps"][0]["run"]
    asked = shlex.split(step[step.index("curl") : step.index("| jq --raw-output .value")])
    assert f"audience={HOSTILE}" in asked
    assert yaml.safe_load(shown["GitLab: lab"])["fetch-token"]["id_tokens"]["ASSERTION"]["aud"] == NO_PLAIN_YAML
    pod = yaml.safe_load(shown["Kubernetes: pods"])["spec"]
    assert pod["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["audience"] == HOSTILE
    assert f"AUDIENCE={HOSTILE}" in shlex.split(shown["curl: jobs"], comments=True)
    assert HOSTILE in shlex.split(shown["Buildkite: steps"].partition("--audience ")[2].partition(")\ncurl")[0])
    public = ECKey.generate_key("P-256", {"kid": kid}).as_dict(private=False)
    without_secret(make, "signer", jwks={"keys": [public]})
    ann.open(f"{BASE}/applications/signer/start")
    assert "<b>" not in ann.text
    shown = texts(ann)
    command = shown["Key pair: curl"].partition("$(python assertion.py ")[2].rpartition(")\ncurl")[0]
    assert shlex.split(command) == [kid, "signer", REALM_ISSUER]
    compile(shown["Key pair: Python"], "token.py", "exec")
    assert json.dumps(f"{kid}.private.json") in shown["Key pair: Python"]


def test_what_proves_nothing_yet_is_led_to_each_way(ann: Surfer, make: Factory) -> None:
    without_secret(make, "bare")
    ann.open(f"{BASE}/applications/bare")
    assert "This application has nothing to prove itself by" in ann.text
    assert f"{BASE}/applications/bare/start" in ann.read().links
    links = ann.open(f"{BASE}/applications/bare/start").read().links
    assert {f"{BASE}/new-federation-rule?application=bare", f"{BASE}/applications/bare/secrets/new"} <= set(links)
    assert list(texts(ann)) == ["New key pair", "Register its public half", "curl", "Key pair: curl", "Key pair: Python"]


def test_one_that_people_sign_in_to_is_told_what_a_library_needs(ann: Surfer) -> None:
    native = {"name": "tool", "kind": "native", "redirect_uris": "http://127.0.0.1/done"}
    ann.open(f"{BASE}/new-application").send("Create", native)
    assert ann.url == f"{BASE}/applications/tool/start"
    assert texts(ann) == {".env": f"OIDC_ISSUER={REALM_ISSUER}\nOIDC_TOKEN_URL={TOKEN_URL}\nOIDC_CLIENT_ID=tool\n"}
    assert "Waiting for its first token" in ann.text


def test_tokens_that_are_bound_need_more_than_the_texts_say(ann: Surfer, make: Factory) -> None:
    without_secret(make, "bound", jwks=key_pair()[1], dpop_bound_access_tokens=True)
    without_secret(make, "plain", jwks=key_pair()[1])
    said = "Its tokens are bound to a key"
    assert said in ann.open(f"{BASE}/applications/bound/start").text
    assert said not in ann.open(f"{BASE}/applications/plain/start").text
    make.do(lambda realm: set_realm(realm, profile="fapi2"))
    assert said in ann.open(f"{BASE}/applications/plain/start").text


def buttons(surfer: Surfer) -> list[tuple[str, str]]:
    """Return the links among the acts of a page, each with how it looks."""
    (acts,) = re.findall(r'<div class="heading"><h1>.*?<div class="actions">(.*?)</div></div>', surfer.text, re.DOTALL)
    found = re.findall(r'<a class="btn btn-([a-z-]+)" href="[^"]*">(?:<svg.*?</svg>)?([^<]*)</a>', acts, re.DOTALL)
    return [(title.strip(), look) for look, title in found]


def test_a_new_secret_is_the_first_offer_only_where_there_is_one(app: Flask, ann: Surfer, make: Factory) -> None:
    made = make.application("with-secret")
    without_secret(make, "signer", jwks=key_pair()[1])
    without_secret(make, "tool", kind="native", redirect_uris=["http://127.0.0.1/done"])
    ann.open(f"{BASE}/applications/with-secret")
    assert buttons(ann) == [("Try it", "outline-secondary"), ("New secret", "primary")]
    ann.open(f"{BASE}/applications/signer")
    assert buttons(ann) == [("Get started", "primary"), ("New secret", "outline-secondary")]
    assert f"{BASE}/applications/signer/try" not in ann.read().links
    assert buttons(ann.open(f"{BASE}/applications/tool")) == [("Get started", "primary")]
    assert f"{BASE}/applications/tool/secrets/new" not in ann.whole(f"{BASE}/applications/tool")
    assert ask_token(app.test_client(), made).status_code == 200
    make.do(retire)
    flush(app)
    ann.open(f"{BASE}/applications/with-secret")
    assert buttons(ann) == [("Get started", "outline-secondary"), ("New secret", "outline-secondary")], "it has begun long ago"
    ann.open(f"{BASE}/applications/with-secret?tab=credentials")
    assert f'class="btn btn-primary" href="{BASE}/applications/with-secret/secrets/new"' not in ann.text


def retire(realm: Realm) -> None:
    applications.retire_secret(realm, applications.get_application(realm, "with-secret"), "main")


def test_trying_asks_for_no_secret_where_there_is_none(ann: Surfer, make: Factory) -> None:
    without_secret(make, "signer", jwks=key_pair()[1])
    ann.open(f"{BASE}/applications/signer/try")
    assert ann.status == 200
    assert "client_secret" not in ann.text
    assert {f"{BASE}/applications/signer/start", f"{BASE}/explain?application=signer"} <= set(ann.read().links)
    assert dict(ann.open(f"{BASE}/explain?application=signer").form("Explain").values)["client_id"] == "signer"


def test_the_fields_for_public_keys_say_how_a_pair_is_made(ann: Surfer, make: Factory) -> None:
    making = texts(ann.open(f"{BASE}/new-application"))["New key pair"]
    assert "python new_key.py first\n" in making
    without_secret(make, "signer", jwks=key_pair()[1])
    ann.open(f"{BASE}/applications/signer?tab=settings")
    assert f'<a href="{BASE}/applications/signer/start#pair">How to create a key pair</a>' in ann.text
    ann.open(f"{BASE}/applications/signer/start")
    assert ' id="pair"' in ann.text
    assert "python new_key.py next\n" in texts(ann)["New key pair"], "beside the one that is in use"


def test_who_may_not_see_the_application_does_not_see_how_it_begins(app: Flask, make: Factory) -> None:
    without_secret(make, "signer", jwks=key_pair()[1])
    trust(make, "hub", preset="github")
    make.application("seen", roles=(), projects=(("vision"),))
    make.user("eve@example.test", projects=(("vision", "project-administrator"),))
    eve = Surfer(app).sign_in("eve@example.test")
    assert eve.open(f"{BASE}/applications/signer/start").status == 404
    assert eve.open(f"{BASE}/applications/seen/start").status == 200
    assert "hub" not in texts(eve), "which issuers are trusted is for who reads the whole organisation"
    assert "GitHub" not in eve.text
