"""Master keys that are wrapped by a key outside: in a security module, or in AWS's key service."""

import base64
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp import keysets, master_keys, runtime, setup, vault
from idp.app import close_app, create_app
from idp.crypto import MasterKeyError
from idp.master_keys import ring
from idp.outside_keys import KeyServiceError, OutsideKeyError, wrapped_by
from idp.outside_names import read_outside_keys
from idp.settings import Settings, SettingsError
from tests.conftest import copy_template
from tests.factories import Factory, Made, ask_token
from tests.keysets.lending import AWS_VALUES, administrator, borrower, keep, take, token_of
from tests.keysets.outside import PIN, Held, aws_service, family, memory, module_missing, soft_module
from tests.serving import PROJECT, Server, free_port, send, wait_until


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    if reason := module_missing():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", "")
        yield soft_module(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="module")
def service() -> Iterator[Held]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield aws_service(f"http://{host}:{port}", free_port())
    server.stop()


@pytest.fixture(params=["module", "service"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Held:
    found: Held = request.getfixturevalue(request.param)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


def moved(settings: Settings, outside: str) -> Settings:
    """Return the settings with other outside keys."""
    return settings.model_copy(update={"outside_keys": outside})


def forms(key: bytes) -> dict[str, bytes]:
    """Return how a key may be written."""
    return {
        "bytes": key,
        "hexadecimal": key.hex().encode(),
        "base64": base64.b64encode(key).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(key).rstrip(b"="),
    }


def find(key: bytes, places: dict[str, bytes]) -> list[str]:
    """Return in which places a key is, and how."""
    return [f"{form} in {place}" for place, content in places.items() for form, text in forms(key).items() if text in content]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_served_with_the_master_key_outside_nothing_else_holds_it(held: Held, template: Path, tmp_path: Path) -> None:
    both = {"IDP_OUTSIDE_KEYS": f"{held.first} {held.second}"}
    server = Server(tmp_path / "data", settings=held.environment | both)
    copy_template(template, server.data_dir)
    settings = Settings.load(
        data_dir=server.data_dir, realms_dir=PROJECT / "realms", public_url=server.url, outside_keys=held.first
    )
    make = Factory(create_app(settings))
    with make.app.app_context():
        first = runtime.current().master_keys.current
        vault.promote_master_key(vault.add_master_key())
        list(vault.rewrap())
        vault.retire_master_key(first, settle=0)
        inside = runtime.current().master_keys.by_id[runtime.current().master_keys.current]
    client = make.app.test_client()
    keep(client, administrator(make, client), name="set", projects=["vision"])
    bot = borrower(make)
    close_app(make.app)
    try:
        server.start()
        assert lease(server, bot) == AWS_VALUES
        processes = family(server.process.pid)
        in_memory = {f"process {pid}": memory(pid) for pid in processes}
        beside = {f"environment of {pid}": Path(f"/proc/{pid}/environ").read_bytes() for pid in processes}
        libraries = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in processes)
        server.idp("backup", str(tmp_path / "backups"))
        beside |= files_of(tmp_path)
        assert "Error" not in server.idp("restore", str(tmp_path / "backups"), "--check", both=True)
        shown = [server.idp("master-key", "rotate"), server.idp("doctor"), server.idp("settings") if held.secrets else ""]
        assert lease(server, bot) == AWS_VALUES
        # to the other outside key while it serves; then the first is needed no more
        shown.append(server.idp("master-key", "wrap", IDP_OUTSIDE_KEYS=f"{held.second} {held.first}"))
        assert lease(server, bot) == AWS_VALUES
        server.stop()
        server.settings["IDP_OUTSIDE_KEYS"] = held.second
        server.start()
        assert lease(server, bot) == AWS_VALUES
    finally:
        server.stop()
    beside |= {"log": "".join(server.output).encode(), "commands": "".join(shown).encode()}
    opened = [place for place in find(inside, in_memory) if place.startswith("bytes in process")]
    # the worker's; in what the first process has freed after setting up, it may still be
    assert opened, "what is unwrapped is in memory: the search finds what is there"
    assert find(inside, beside) == []
    for key in held.bytes:
        assert find(key, in_memory | beside) == []
    for secret in held.secrets:
        assert [place for place, content in (in_memory | beside).items() if secret.encode() in content] == []
    assert [place for place, content in in_memory.items() if b"/botocore/" in content] == [], (
        "it is loaded where it is not needed"
    )
    assert not re.search(r"/(_pkcs11|libsofthsm)", libraries)
    assert "No master key is in the file unencrypted" in shown[1]
    assert "Keys changed: 2" in shown[3]
    assert "Traceback" not in "".join(server.output)


def lease(server: Server, bot: Made) -> dict[str, str]:
    """Fetch a token from the server, and take a lease with it; return the values."""
    answer = server.token({"client_id": bot.client_id, "client_secret": bot.secret}, resource=server.issuer())
    assert answer.status == 200, answer.body
    header = {"Authorization": f"Bearer {answer.json['access_token']}", "Content-Type": "application/json"}
    taken = send(f"{server.url}/v1/leases", json.dumps({"spec": {"keyset": "set", "reason": "deploys"}}).encode(), header)
    assert taken.status == 201, taken.body
    values: dict[str, str] = taken.json["values"]
    return values


def test_from_the_file_to_an_outside_key_and_back_while_others_serve(held: Held, settings: Settings) -> None:
    outside, back = moved(settings, held.first), moved(settings, f"none {held.first}")
    apps = [create_app(each) for each in (outside, back)]
    make = Factory(apps[0])
    client = apps[0].test_client()
    keep(client, administrator(make, client), name="set", projects=["vision"])
    bot = borrower(make)
    header = token_of(client, bot)

    def check(wrapped: set[bool]) -> None:
        lines = master_keys.read_key_file(settings.master_key_file)
        assert {bool(wrapped_by(line)) for line in lines.values()} == wrapped
        for app in apps:
            assert ask_token(app.test_client(), bot).status_code == 200
            assert take(app.test_client(), header, "set").json["values"] == AWS_VALUES
            with app.app_context():
                assert [damaged for *_, damaged in keysets.check_keysets()] == [False]

    for app, steps in ((apps[0], ({False, True}, {True})), (apps[1], ({False, True}, {False}))):
        with app.app_context():
            old = runtime.current().master_keys.current
            vault.promote_master_key(vault.add_master_key())
            assert list(vault.rewrap())[-1].damaged == []
        check(steps[0])
        with app.app_context():
            vault.retire_master_key(old, settle=0)
        check(steps[1])
    with apps[0].app_context():  # the same key, wrapped and unwrapped
        assert [vault.wrap_master_keys() for _ in range(2)] == [1, 0]
    check({True})
    with apps[1].app_context():
        assert vault.wrap_master_keys() == 1
    check({False})
    for app in apps:
        close_app(app)
    close_app(create_app(settings))


def test_a_start_that_cannot_reach_it_refuses_and_makes_no_key(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load(data_dir=tmp_path / "data", realms_dir=PROJECT / "realms", outside_keys=held.first)
    for name, value in held.away.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KeyServiceError, match=f"The key service does not answer: {held.kind}:.*{held.said}"):
        setup.set_up(settings)
    assert not settings.master_key_file.exists()
    assert not settings.sqlite_path.exists()
    for name in held.away:
        monkeypatch.setenv(name, held.environment[name])
    close_app(setup.set_up(settings)[0])
    before = settings.master_key_file.read_text()
    assert "wrapped:v1:" in before
    for name, value in held.away.items():
        monkeypatch.setenv(name, value)
    for refused in (setup.set_up, create_app):
        with pytest.raises(KeyServiceError, match=r"No new key was created"):
            refused(settings)
    with pytest.raises(OutsideKeyError, match="which IDP_OUTSIDE_KEYS does not name"):
        setup.set_up(moved(settings, ""))
    assert settings.master_key_file.read_text() == before


def test_workers_go_on_without_it_and_take_up_new_keys_once_it_is_back(
    service: Held, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    outside = moved(settings, service.first)
    monkeypatch.setattr(ring, "ASK_AGAIN_AFTER", 3_600)
    writer, reader = create_app(outside), create_app(outside)
    with writer.app_context():
        vault.promote_master_key(vault.add_master_key())
        sealed = vault.seal(b"new", context="c")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", service.away["AWS_ENDPOINT_URL_KMS"])
    with reader.app_context():
        assert vault.unseal(vault.seal(b"old", context="c"), context="c") == b"old"
        assert "the keys known so far stay in use" in caplog.text
        asked = len(caplog.records)
        with pytest.raises(KeyServiceError, match="does not answer") as caught:
            vault.unseal(sealed, context="c")
        assert "127.0.0.1" not in str(caught.value), "what callers are told"
        assert len(caplog.records) == asked, "it was asked once more right away"
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", service.environment["AWS_ENDPOINT_URL_KMS"])
        monkeypatch.setattr(runtime.current().master_keys, "_not_before", 0)
        assert vault.unseal(sealed, context="c") == b"new"
    for app in (writer, reader):
        close_app(app)


def test_a_worker_that_dies_while_it_is_away_is_replaced_once_it_is_back(module: Held, template: Path, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings=module.environment | {"IDP_OUTSIDE_KEYS": module.first})
    copy_template(template, server.data_dir)
    tokens = Path(module.environment["SOFTHSM2_CONF"]).with_name("tokens")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", module.environment["SOFTHSM2_CONF"])
        app = create_app(Settings.load(data_dir=server.data_dir, outside_keys=module.first))
        with app.app_context():
            assert vault.wrap_master_keys() == 1
        close_app(app)
    try:
        server.start()
        application = server.create_application("ci-bot")
        tokens.rename(tokens.with_name("away"))
        (worker,) = family(server.process.pid)[1:]
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "The key service does not answer" in "".join(server.output), "the refusal")
        assert server.process.poll() is None
        tokens.with_name("away").rename(tokens)
        wait_until(server.answers, "another worker")
        assert server.token(application).status == 200
    finally:
        if not tokens.exists():
            tokens.with_name("away").rename(tokens)
        server.stop()
    assert "Traceback" not in "".join(server.output)


def test_a_service_that_takes_connections_and_says_nothing_is_given_up_on(service: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(KeyServiceError, match="Read timeout"):
            master_keys.make_line("k1", bytes(32), read_outside_keys(service.first))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("object=master%200", "object=master%209", "holds no such secret key"),
        ("pin-source=file:", "pin-source=file:/nowhere", "cannot be read"),
        ("/libsofthsm2.so", "/nothing.so", "there is no library"),
        ("/usr/lib", "/etc/passwd?", None),
    ],
)
def test_a_module_that_is_not_as_it_is_said_to_be_is_refused_in_a_sentence(
    module: Held, old: str, new: str, said: str | None
) -> None:
    uri = (
        module.first.replace(old, new)
        if said
        else module.first.replace(module.first.partition("module-path=")[2].partition("&")[0], "/etc/passwd")
    )
    with pytest.raises(OutsideKeyError, match=said or "cannot be loaded"):
        master_keys.make_line("k1", bytes(32), read_outside_keys(uri))


def test_a_wrong_pin_is_refused_and_never_repeated(
    module: Held, settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pin = tmp_path / "pin"
    uri = module.first.partition("pin-source")[0] + f"pin-source=file:{pin}"
    wrong = "66" + PIN
    for content, mode, said in (
        (wrong, 0o600, "the PIN is wrong"),
        ("", 0o600, "is empty"),
        (PIN, 0o644, f"chmod 600 {pin}"),
        (f"{PIN}\r\n", 0o600, ""),
    ):
        pin.write_text(content)
        pin.chmod(mode)
        if not said:
            assert wrapped_by(master_keys.make_line("k1", bytes(32), read_outside_keys(uri)))
            continue
        with pytest.raises(OutsideKeyError, match=said) as caught:
            master_keys.make_line("k1", bytes(32), read_outside_keys(uri))
        assert not any(secret in str(caught.value) for secret in (wrong, PIN))
    assert not any(secret in "".join(capfd.readouterr()) for secret in (wrong, PIN))


def test_wrapped_keys_cannot_be_swapped_or_changed(held: Held, tmp_path: Path) -> None:
    keys = read_outside_keys(held.first)
    path = tmp_path / "master.key"
    master_keys.create_master_key(path, keys)
    ((key_id, line),) = master_keys.read_key_file(path).items()
    master_keys.load_master_keys(path, keys)
    start, _, identity = line.partition("@")
    changed = start[:-6] + ("AAAA" if start[-6:-2] != "AAAA" else "BBBB") + start[-2:]
    for lines in (
        {"another1": line},
        {key_id: f"{changed}@{identity}"},
        {key_id: line.replace(":v1:aes-256-gcm:", ":v1:other:").replace(":v1:aws-kms:", ":v1:other:")},
    ):
        master_keys.write_key_file(path, lines)
        with pytest.raises(OutsideKeyError, match="cannot be used"):
            master_keys.load_master_keys(path, keys)
    master_keys.write_key_file(path, {key_id: line.replace(":v1:", ":v2:")})
    with pytest.raises(MasterKeyError, match="is damaged"):
        master_keys.load_master_keys(path, keys)


@pytest.mark.parametrize(("kind", "package"), [("pkcs11", "pkcs11"), ("aws", "botocore")])
def test_a_library_that_is_missing_is_named_with_what_installs_it(
    kind: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('none', name='{package}')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    uri = {"pkcs11": "pkcs11:token=a;object=b?module-path=/c&pin-source=/d", "aws": "awskms:alias/a"}[kind]
    with pytest.raises(OutsideKeyError, match=rf"package {package} is missing: install realmgate\[{kind}\]"):
        master_keys.make_line("k1", bytes(32), read_outside_keys(uri))


WRONG = {
    "AKIAIOSFODNN7EXAMPLE": "takes pkcs11:",
    "awskms:alias/": "takes pkcs11:",
    "awskms:arn:aws:s3:::bucket": "takes pkcs11:",
    "awskms:alias/a none": "takes pkcs11:",
    "pkcs11:token=a;object=b": "needs module-path",
    "pkcs11:token=a;object=b?module-path=c.so&pin-source=file:/d": "needs module-path",
    "pkcs11:token=a;object=b?module-path=/c.so&pin-source=|echo 1": "needs module-path",
    "pkcs11:token=a;object=b?module-path=/c.so&pin-source=%7Cecho": "needs module-path",
    "pkcs11:token=a;object=b?module-path=/c.so&pin-value=4711": "may not hold a PIN",
    "pkcs11:token=a?module-path=/c.so&pin-source=/d": "needs token or serial",
    "pkcs11:object=a?module-path=/c.so&pin-source=/d": "needs token or serial",
    "pkcs11:token=a;token=b;object=c?module-path=/c.so&pin-source=/d": "each once",
    "pkcs11:token=a;slot-id=1;object=c?module-path=/c.so&pin-source=/d": "takes id, object",
    "pkcs11:token=a;type=private;object=c?module-path=/c.so&pin-source=/d": "type=secret-key",
}


@pytest.mark.parametrize("value", WRONG)
def test_a_setting_that_names_no_key_is_refused_and_not_repeated(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_OUTSIDE_KEYS", value)
    with pytest.raises(SettingsError, match=f"^IDP_OUTSIDE_KEYS cannot be used: .*{WRONG[value]}") as caught:
        Settings.load()
    assert "4711" not in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "identity", "fits"),
    [
        ("awskms:alias/a", "awskms:arn:aws:kms:eu-central-1:123456789012:key/mrk-1", True),
        ("awskms:mrk-1", "awskms:arn:aws:kms:eu-central-1:123456789012:key/mrk-1", True),
        ("awskms:arn:aws:kms:eu-west-1:123456789012:key/mrk-1", "awskms:arn:aws:kms:eu-central-1:123456789012:key/mrk-1", True),
        ("awskms:mrk-2", "awskms:arn:aws:kms:eu-central-1:123456789012:key/mrk-1", False),
        ("pkcs11:object=b;token=%61?pin-source=/d&module-path=/c", "pkcs11:token=a;object=b", True),
        ("pkcs11:object=b;token=a?pin-source=/d&module-path=/c", "pkcs11:token=a;object=c", False),
        ("awskms:alias/a", "pkcs11:token=a;object=b", False),
    ],
)
def test_which_key_unwraps_what(name: str, identity: str, fits: bool) -> None:
    assert read_outside_keys(name).all[0].wrapped(identity) is fits


def test_none_in_front_only_unwraps() -> None:
    keys = read_outside_keys("none awskms:alias/a")
    assert (keys.wraps, [each.name for each in keys.all]) == (None, ["awskms:alias/a"])
    assert read_outside_keys("none") == read_outside_keys("")
