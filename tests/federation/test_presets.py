"""A token of each issuer that is known beforehand, in the form that it has: admitted by what its preset pins, and by nothing else."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import ECKey

from idp import clock, federation, runtime
from idp.errors import InvalidValueError
from idp.federation.fetching import usable_keys
from idp.federation.presets import PRESETS
from idp.realms import Realm, known_realm
from tests.factories import Factory, claims_of
from tests.federation.issuing import REALM_ISSUER, Issuer, github, kubernetes
from tests.federation.test_admission import ask_with, rule, trust

TENANT, OBJECT = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
ORGANISATION, PROJECT = "aaaaaaaa-2222-4333-8444-555555555555", "bbbbbbbb-2222-4333-8444-555555555555"
STS = "https://sts.amazonaws.com/"

ISSUERS: dict[str, Issuer] = {
    "oidc": Issuer(url="https://jobs.example.com", claims={"sub": "job:nightly"}),
    "kubernetes": kubernetes(),
    "github": github(
        event_name="push", runner_environment="github-hosted", run_id="1", job_workflow_ref="acme/app/.github/a.yml"
    ),
    "gitlab": Issuer(
        url="https://gitlab.example.com",
        claims={
            "sub": "project_path:acme/site:ref_type:branch:ref:main",
            "project_id": "311",
            "namespace_id": "72",
            "project_path": "acme/site",
            "namespace_path": "acme",
            "ref": "main",
            "ref_type": "branch",
            "ref_protected": "true",
            "pipeline_source": "push",
            "ci_config_ref_uri": "gitlab.example.com/acme/site//.gitlab-ci.yml@refs/heads/main",
            "user_id": "5",
        },
    ),
    "google": Issuer(
        url="https://accounts.google.com",
        claims={
            "sub": "104512340001",
            "azp": "104512340001",
            "email": "exporter@acme.iam.gserviceaccount.com",
            "email_verified": True,
            "google": {
                "compute_engine": {
                    "instance_id": "8675309",
                    "instance_name": "exporter-1",
                    "project_id": "acme",
                    "project_number": 739419398126,
                    "zone": "europe-west3-a",
                }
            },
        },
    ),
    "azure": Issuer(
        url=f"https://login.microsoftonline.com/{TENANT}/v2.0",
        claims={
            "sub": OBJECT,
            "oid": OBJECT,
            "tid": TENANT,
            "azp": "cccccccc-2222-4333-8444-555555555555",
            "idtyp": "app",
            "xms_mirid": "/subscriptions/1/resourcegroups/ci/providers/Microsoft.ManagedIdentity/userAssignedIdentities/importer",
        },
    ),
    "aws": Issuer(
        url="https://00000000-1111-4222-8333-444444444444.tokens.sts.global.api.aws",
        key=ECKey.generate_key("P-384"),
        algorithm="ES384",
        claims={
            "sub": "arn:aws:iam::123456789012:role/collector",
            STS: {
                "aws_account": "123456789012",
                "org_id": "o-abc1234567",
                "principal_id": "arn:aws:iam::123456789012:role/collector",
                "source_region": "eu-central-1",
                "request_tags": {"team": "data"},
            },
        },
    ),
    "spiffe": Issuer(
        url="spiffe://acme.example",
        key=ECKey.generate_key("P-256"),
        algorithm="ES256",
        claims={"sub": "spiffe://acme.example/ns/shop/billing", "aud": [REALM_ISSUER]},
    ),
    "terraform": Issuer(
        url="https://app.terraform.io",
        claims={
            "sub": "organization:acme:project:core:workspace:net:run_phase:apply",
            "terraform_organization_id": "org-1",
            "terraform_project_id": "prj-1",
            "terraform_workspace_id": "ws-1",
            "terraform_run_id": "run-1",
            "terraform_run_phase": "apply",
        },
    ),
    "buildkite": Issuer(
        url="https://agent.buildkite.com",
        claims={
            "sub": "organization:acme:pipeline:site:ref:refs/heads/main:commit:9f3182061f1e2cca4702c368cbc039b7dc9d4485:step:build",
            "organization_id": "0184990a-477b-4fa8-9968-496074483aaa",
            "pipeline_id": "0184990a-477b-4fa8-9968-496074483cee",
            "build_branch": "main",
            "step_key": "build",
        },
    ),
    "circleci": Issuer(
        url=f"https://oidc.circleci.com/org/{ORGANISATION}",
        claims={
            "sub": f"org/{ORGANISATION}/project/{PROJECT}/user/{OBJECT}",
            "oidc.circleci.com/project-id": PROJECT,
            "oidc.circleci.com/context-ids": [OBJECT],
        },
    ),
}
WITHOUT = {"spiffe": ("iss", "jti", "nbf"), "google": ("jti", "nbf"), "azure": ("jti",)}
"""What tokens do not say. The others have all of it."""

LIVES = {"kubernetes": 3600, "google": 3600, "azure": 86_400, "aws": 3600, "terraform": 7200, "circleci": 3600, "gitlab": 3600}
"""Seconds between issue and end, where it is not five minutes."""

CASES = [(name, pin) for name, preset in PRESETS.items() for pin in preset.pins or ("sub",)]


def at(claims: Mapping[str, Any], pin: str) -> tuple[dict[str, Any], str]:
    """Return the claims that hold the one which a pin names, and what it is called there."""
    within: Any = claims
    for head in ("kubernetes.io", STS, "google", "compute_engine", "serviceaccount"):
        if pin.startswith(f"{head}.") and head in within:
            within, pin = within[head], pin.removeprefix(f"{head}.")
    assert pin in within
    return within, pin


def another(value: Any) -> Any:
    """Return the id of somebody else: the same but for its last character."""
    text = str(value)
    changed = text[:-1] + ("0" if text[-1] != "0" else "1")
    return int(changed) if isinstance(value, int) else changed


def test_each_preset_is_here() -> None:
    assert set(ISSUERS) == set(PRESETS)
    assert all(ISSUERS[name].url == preset.issuer for name, preset in PRESETS.items() if preset.issuer)


@pytest.mark.parametrize(("name", "pin"), CASES)
def test_a_token_is_admitted_by_its_pin_and_refused_with_another(client: FlaskClient, make: Factory, name: str, pin: str) -> None:
    issuer = ISSUERS[name]
    make.application("program", roles=("viewer",))
    use = "jwt-svid" if name == "spiffe" else "sig"
    trust(make, issuer, name="outside", preset=name, jwks={"keys": [each | {"use": use} for each in issuer.jwks["keys"]]})
    found, last = at(issuer.claims, pin)
    rule(make, "program", {pin: str(found[last])}, issuer="outside")

    def sign(claims: dict[str, Any]) -> str:
        now = int(clock.timestamp())
        said = claims | {"iat": now, "exp": now + LIVES.get(name, 300)}
        return issuer.sign(without=WITHOUT.get(name, ()), **said)

    token = sign(issuer.claims)
    answer = ask_with(client, token)
    assert answer.status_code == 200, answer.text
    assert claims_of(answer.json["access_token"])["federation"] == {
        "iss": issuer.url,
        "sub": issuer.claims["sub"],
        "rule": "program-rule",
    }
    again = 200 if PRESETS[name].replay == "reuse" else 401  # type: ignore[index]  # a name of them
    assert ask_with(client, token).status_code == again

    others = deepcopy(issuer.claims)
    within, last = at(others, pin)
    within[last] = another(within[last])
    assert ask_with(client, sign(others)).status_code == 401
    explained = make.do(lambda realm: explain(realm, sign(others)))
    assert explained == [(pin, (str(within[last]),))]


def explain(realm: Realm, token: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the lines that fail, and what the token says there."""
    known = known_realm(runtime.current(), realm.name)
    assert known is not None
    rules = federation.explain(known, token).rules
    return [(each.line.claim, each.found) for found in rules for each in found.lines if not each.holds]


def test_a_bundle_has_keys_for_tokens_and_others() -> None:
    """SPIFFE's have certificates beside them."""
    key = ISSUERS["spiffe"].key.as_dict(private=False) | {"kid": "k1"}
    uses = ("jwt-svid", "sig", "x509-svid", "enc", ["sig"])
    bundle = {"spiffe_sequence": 1, "keys": [key | {"kid": f"k{number}", "use": use} for number, use in enumerate(uses)] + [key]}
    assert [(each["kid"], each.get("use")) for each in usable_keys(bundle)] == [("k0", "sig"), ("k1", "sig"), ("k1", None)]


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.pins])
def test_a_name_pins_nothing(make: Factory, name: str) -> None:
    make.application("program")
    trust(make, ISSUERS[name], name="outside", preset=name)
    with pytest.raises(InvalidValueError, match="others can register a name again"):
        rule(make, "program", {"repository": "acme/app"}, issuer="outside")


def test_a_job_of_circleci_is_admitted_whoever_has_started_it(client: FlaskClient, make: Factory) -> None:
    """`sub` has the id of the user within: a pattern stands for that, and the id of the project is pinned beside it."""
    circle = ISSUERS["circleci"]
    make.application("program")
    trust(make, circle, name="outside", preset="circleci")
    jobs = f"org/{ORGANISATION}/project/{PROJECT}/user/*"
    rule(make, "program", {"sub": jobs, "oidc.circleci.com/project-id": PROJECT}, issuer="outside")
    anybody = jobs.replace("*", another(OBJECT))
    assert ask_with(client, circle.sign()).status_code == 200
    assert ask_with(client, circle.sign(sub=anybody)).status_code == 200
    elsewhere = another(PROJECT)
    assert ask_with(client, circle.sign(**{"oidc.circleci.com/project-id": elsewhere})).status_code == 401
    assert ask_with(client, circle.sign(sub=anybody.replace(PROJECT, elsewhere))).status_code == 401
    # what CircleCI calls the second version has repository and branch behind the user
    assert (
        ask_with(client, circle.sign(sub=f"{anybody}/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main")).status_code == 401
    )


@pytest.mark.parametrize(
    "lines",
    [
        {"sub": f"org/{ORGANISATION}/project/{PROJECT}/user/*"},
        {"sub": f"org/{ORGANISATION}/project/*/user/*", "oidc.circleci.com/project-id": "*-2222-4333-8444-555555555555"},
        {"sub": "org/*/project/*/user/*", "oidc.circleci.com/vcs-origin": "github.com/acme/app"},
        {"oidc.circleci.com/context-ids": OBJECT},
    ],
)
def test_a_rule_for_circleci_pins_project_or_user(make: Factory, lines: dict[str, str]) -> None:
    make.application("program")
    trust(make, ISSUERS["circleci"], name="outside", preset="circleci")
    with pytest.raises(InvalidValueError, match=r"an exact id \(sub, oidc\.circleci\.com/project-id\)"):
        rule(make, "program", lines, issuer="outside")
