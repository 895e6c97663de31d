"""A whole organisation's life, from sign-up to purge, by a client that was generated from the description: on the served
program with two workers, on SQLite and on PostgreSQL."""

import http.client
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp import audit, mail, trail, users, vault
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.factories import Factory
from tests.flows.test_people import call
from tests.serving import PATIENCE, Server, send, wait_until

PASSWORD = "a long and unusual one"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The package that a generator nobody here wrote makes of /v1/openapi.json."""
    from idp.api import ROUTES
    from idp.api.openapi import describe

    folder = tmp_path_factory.mktemp("generated")
    document, config = folder / "openapi.json", folder / "config.yml"
    document.write_text(json.dumps(describe(ROUTES, "http://127.0.0.1:8080")))
    config.write_text("post_hooks: []\n")
    command = [
        str(Path(sys.executable).with_name("openapi-python-client")),
        "generate",
        "--path",
        str(document),
        "--meta",
        "none",
    ]
    command += ["--config", str(config), "--output-path", str(folder / "realmgate_client")]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    settings = {"IDP_WORKERS": "2", "IDP_SIGN_UP": "approval", "IDP_AUDIT_SEAL_SECONDS": "0.3"}
    if request.param == "postgresql":
        settings["IDP_DATABASE_URL"] = request.getfixturevalue("database_url")
    server = Server(tmp_path / "data", settings=settings)
    server.start()
    yield server
    server.stop()


def settings_of(server: Server) -> Settings:
    database = server.settings.get("IDP_DATABASE_URL")
    more = {"database_url": database} if database else {}
    return Settings.load(data_dir=server.data_dir, public_url=server.url, **more)


@pytest.fixture
def make(server: Server) -> Iterator[Factory]:
    app = create_app(settings_of(server))
    yield Factory(app)
    close_app(app)


def mailed_code(make: Factory, template: str) -> str:
    def read(_: Any) -> str:
        message = [each for each in mail.list_waiting(1000) if each.template == template][-1]
        return str(json.loads(vault.unseal(message.sealed, context=f"mail {message.occasion}"))["values"]["code"])

    return str(make.do(read))


def test_from_sign_up_to_purge(server: Server, make: Factory, generated: Any) -> None:
    package = "realmgate_client"
    client_module = generated(f"{package}.client")
    models = generated(f"{package}.models")

    def use(call: str, client: Any, *arguments: Any, **named: Any) -> Any:
        response = generated(f"{package}.api.{call}").sync_detailed(*arguments, client=client, **named)
        assert response.status_code < 300, f"{call}: {response.status_code} {response.content!r}"
        return response.parsed

    make.user("operator@example.test", realm="master", roles=("administrator",))
    anybody = client_module.Client(base_url=server.url)
    clients = [anybody]

    def sign_in(name: str, org: str, password: str = "correct horse battery staple") -> Any:
        body = models.Authenticate(email_id=name, password=password, org=org)
        token = use("auth.auth_authenticate", anybody, body=body, set_cookie="false").authorization
        clients.append(client_module.AuthenticatedClient(base_url=server.url, token=token))
        return clients[-1]

    operator = sign_in("operator@example.test", "master")
    wish = models.SignUpBody(org_name="globex", email_id="boss@globex.test", display_name="Globex")
    use("auth.realms_sign_up", anybody, body=wish)
    verified = use(
        "auth.realms_verify_sign_up", anybody, mailed_code(make, "sign-up"), body=models.Verification(password=PASSWORD)
    )
    assert (verified.org_name, verified.state.value) == ("globex", "pending")
    listed = use("realms.realms_list_realms", operator, state=models.RealmState.PENDING)
    uid = listed.items[0].metadata.uid
    use("realms.realms_approve_realm", operator, uid)
    wait_until(lambda: _signs_in(server, "boss@globex.test", PASSWORD, "globex"), "the approval on every worker")
    boss = sign_in("boss@globex.test", "globex", PASSWORD)
    project = use("projects.projects_create_project", boss, body=models.NewProject(metadata=models.Named(name="dev"))).uid
    made = use(
        "applications.applications_create_application",
        boss,
        idempotency_key="one",
        body=models.NewApplication(
            metadata=models.Named(name="bot"),
            spec=models.NewApplicationSpec(
                roles=["viewer"], projects=[models.ProjectGrant(project_uid=project, role="researcher")]
            ),
        ),
    )
    person = use("users.users_create_user", boss, body=models.UserBody(spec=models.UserSpec(machine_name="robot"))).uid
    key = use("api_keys.api_keys_create_key", boss, body=models.KeyBody(spec=models.KeySpec(user_uid=person))).api_key
    form = {"grant_type": "client_credentials", "client_id": "bot", "client_secret": made.client_secret}

    def works() -> tuple[int, int]:
        token = send(server.endpoint("token", "globex"), form).status
        return token, send(f"{server.url}/v1/users/info", headers={"apiKey": key}).status

    wait_until(lambda: works() == (200, 200), "the credentials")
    review = use("access_review.grants_review_access", boss, project_uid=project)
    assert {"bot", "boss@globex.test"} <= {item.holder.name for item in review.items}
    use("realms.realms_deactivate_realm", operator, uid)
    wait_until(lambda: all(works() == (403, 401) for _ in range(10)), "the end of every credential on every worker")
    use("realms.realms_activate_realm", operator, uid)
    wait_until(lambda: works() == (200, 200), "the credentials again")
    use("realms.realms_delete_realm", operator, uid)
    wait_until(lambda: works() == (403, 401), "the end of every credential")
    use("realms.realms_purge_realm", operator, uid)
    shown = generated(f"{package}.api.realms.realms_get_realm").sync_detailed(uid, client=operator)
    assert shown.status_code == 404
    for client in clients:
        client.get_httpx_client().close()
    wait_until(lambda: send(server.endpoint("token", "globex"), form).status == 404, "the purge on every worker")

    def proved(_: Any) -> bool:
        report = trail.verify_trail("globex")
        assert report.problems == []
        return report.unsealed == 0 and report.entries > 10

    wait_until(lambda: make.do(proved), "the sealing of its trail")
    assert "globex: whole" in server.idp("audit", "verify", "--realm", "globex")


def _signs_in(server: Server, name: str, password: str, org: str) -> bool:
    body = {"emailId": name, "password": password, "org": org}
    return all(call(server, "POST", "/v1/auth/authenticate?setCookie=false", body).status == 200 for _ in range(3))


@pytest.mark.spec("R123")
def test_kill_between_any_two_statements_leaves_act_and_entry_or_neither(server: Server, make: Factory) -> None:
    make.user("admin@example.test", roles=("administrator",))
    body = {"emailId": "admin@example.test", "password": "correct horse battery staple", "org": "acme"}
    answered: list[str] = []
    stop = threading.Event()

    def keep_making(part: int) -> None:
        header: dict[str, str] = {}
        number = 0
        while not stop.is_set():
            try:
                if not header:
                    answer = call(server, "POST", "/v1/auth/authenticate?setCookie=false", body)
                    header = {"Authorization": answer.json["Authorization"]} if answer.status == 200 else {}
                    continue
                number += 1
                name = f"k{part}-{number}"
                if call(server, "POST", "/v1/groups", {"metadata": {"name": name}}, header).status == 201:
                    answered.append(name)
            except (OSError, http.client.HTTPException, ValueError):  # the server was killed in the middle of its answer
                stop.wait(0.05)

    threads = [threading.Thread(target=keep_making, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for round_ in range(4):
        wait_until(lambda goal=(round_ + 1) * 8: len(answered) >= goal, "groups")
        server.kill()
        server.start()
    stop.set()
    for thread in threads:
        thread.join()

    def compare(realm: Any) -> tuple[set[str], set[str]]:
        there = {group.name for group in users.list_groups(realm) if group.name.startswith("k")}
        events = audit.list_events("acme", tag="admin:group:create", limit=10_000)
        return there, {event.target.partition(":")[2] for event in events if event.target.startswith("group:k")}

    there, recorded = make.do(compare)
    assert there == recorded, "what was made is in the trail, and nothing else is"
    assert set(answered) <= there, "and what was answered is there"
    wait_until(lambda: make.do(lambda _: trail.verify_trail("acme").unsealed) == 0, "the sealing")
    assert make.do(lambda _: trail.verify_trail("acme").problems) == []


def test_concurrent_edits_on_two_workers(server: Server, make: Factory) -> None:
    make.user("admin@example.test", roles=("administrator",))
    body = {"emailId": "admin@example.test", "password": "correct horse battery staple", "org": "acme"}
    header = {"Authorization": call(server, "POST", "/v1/auth/authenticate?setCookie=false", body).json["Authorization"]}
    uid = call(server, "POST", "/v1/projects", {"metadata": {"name": "contended"}}, header).json["uid"]
    for round_ in range(5):
        etag = call(server, "GET", f"/v1/projects/{uid}", None, header).headers["ETag"]
        statuses: list[int] = []

        def edit(number: int, etag: str = etag, statuses: list[int] = statuses, round_: int = round_) -> None:
            change = {"metadata": {"annotations": {"description": f"{round_} {number}"}}}
            statuses.append(call(server, "PUT", f"/v1/projects/{uid}", change, header | {"If-Match": etag}).status)

        threads = [threading.Thread(target=edit, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [204, 412, 412, 412]
