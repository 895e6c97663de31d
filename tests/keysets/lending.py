"""What tests of keysets need: values, keysets, and applications that are lent them."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import access, applications, runtime
from idp.db import db
from idp.realms import Realm
from tests.factories import Factory, Made, ask_token, session_of

AWS = [{"type": "pub", "value": "AKIA-canary-id"}, {"type": "pvt", "value": "canary-secret-of-aws"}]
AWS_VALUES = {each["type"]: each["value"] for each in AWS}
OTHER_AWS = [{"type": "pub", "value": "AKIA-second-id"}, {"type": "pvt", "value": "second-secret-of-aws"}]


def wish(name: str = "prod aws", keys: Any = AWS, category: str = "provider", entity: str = "aws", **spec: Any) -> dict[str, Any]:
    """Return the body that makes a keyset."""
    return {"metadata": {"name": name}, "spec": {"category": category, "entity": entity, "keys": keys, **spec}}


def administrator(make: Factory, client: FlaskClient, name: str = "root@example.test") -> dict[str, str]:
    """Make an administrator, and return the header that shows a session."""
    make.user(name, roles=("administrator",))
    return session_of(client, name)


def keep(client: FlaskClient, header: dict[str, str], name: str = "prod aws", **spec: Any) -> str:
    """Store a keyset, and return its uid."""
    answer = client.post("/v1/keysets", json=wish(name, **spec), headers=header)
    assert answer.status_code == 201, answer.text
    uid: str = answer.json["uid"]
    return uid


def borrower(make: Factory, name: str = "deployer", project: str | None = "vision", realm: str = "acme") -> Made:
    """Make an application that may be lent keysets of a project; None for those of the whole realm."""
    made = make.application(name, roles=(), realm=realm)

    def grant(owner: Realm) -> None:
        if "lender" not in {role.name for role in access.list_roles(owner)}:
            access.create_role(owner, "lender", access.RoleSheet(permissions=["keysets:lease"]))
        application = applications.get_application(owner, name)
        access.grant_role(owner, applications.holder_of(application), "lender", project=project)
        db.session.flush()
        applications.settle_audience(owner, application, runtime.current().settings.issuer(realm))

    make.do(grant, realm)
    return made


def lend_a_keyset(make: Factory, name: str = "backups aws", reason: str = "nightly backup") -> str:
    """Have an application hold an older version of a keyset, and another the one of now; return the keyset's uid."""
    client = make.app.test_client()
    root = administrator(make, client, "keeper@example.test")
    uid = keep(client, root, name=name, projects=["vision"])
    for number, client_id in enumerate(("report-store", "backup-job")):
        if number:
            client.post(f"/v1/keysets/{uid}/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root)
        assert take(client, token_of(client, borrower(make, client_id)), uid, reason).status_code == 201
    return uid


def token_of(client: FlaskClient, made: Made, realm: str = "acme") -> dict[str, str]:
    """Fetch a token as an application, and return the header that shows it."""
    issuer = client.get(f"/auth/realms/{realm}/.well-known/openid-configuration").json["issuer"]
    return {"Authorization": f"Bearer {ask_token(client, made, realm=realm, resource=issuer).json['access_token']}"}


def take(client: FlaskClient, header: dict[str, str], keyset: str, reason: str = "deploys", **spec: Any) -> TestResponse:
    """Ask for a lease."""
    return client.post("/v1/leases", json={"spec": {"keyset": keyset, "reason": reason, **spec}}, headers=header)
