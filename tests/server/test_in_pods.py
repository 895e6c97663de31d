"""In a pod: variables that Kubernetes sets for its services, a root file system that is read-only, a master key from a Secret."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp.settings import Settings
from tests.namespaces import namespaces_missing
from tests.serving import Server, free_port, send, wait_until

LINKS = {
    "IDP_PORT": "tcp://10.96.12.7:8080",
    "IDP_PORT_8080_TCP": "tcp://10.96.12.7:8080",
    "IDP_PORT_8080_TCP_PROTO": "tcp",
    "IDP_PORT_8080_TCP_PORT": "8080",
    "IDP_PORT_8080_TCP_ADDR": "10.96.12.7",
    "IDP_SERVICE_HOST": "10.96.12.7",
    "IDP_SERVICE_PORT": "8080",
    "IDP_SERVICE_PORT_HTTP": "8080",
    "IDP_MANAGEMENT_PORT": "tcp://10.96.12.8:9080",
    "IDP_MANAGEMENT_SERVICE_HOST": "10.96.12.8",
    "IDP_SMTP_PORT": "tcp://10.96.12.9:25",
}
"""What the kubelet sets in each pod of a namespace with services `idp`, `idp-management` and `idp-smtp`."""

GROUP = 20_417
"""A group that this machine knows nothing of."""

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && mount -o remount,bind,rw "$1" && shift && exec "$@"'


@pytest.fixture(scope="session")
def _namespaces() -> None:
    if missing := namespaces_missing():
        pytest.skip(missing)


@pytest.fixture
def pod(tmp_path: Path, _namespaces: None) -> Iterator[Server]:
    """A server that can write to its data folder alone."""
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    server = Server(data_dir, within=["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(data_dir)])
    server.settings["IDP_MANAGEMENT_PORT"] = str(free_port())
    yield server
    server.stop()


def scratch_of(server: Server) -> list[Path]:
    return list(server.data_dir.glob("run-*"))


def test_variables_of_service_links_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LINKS.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.port, settings.management_port, settings.smtp_port) == (8080, -1, 587)
    assert settings.public_url == "http://127.0.0.1:8080"


def test_server_listens_where_it_is_told_beside_service_links(own_server: Server) -> None:
    own_server.settings |= {name: value for name, value in LINKS.items() if name != "IDP_PORT"}
    own_server.start()
    assert own_server.create_application("ci-bot")["client_id"] == "ci-bot"
    own_server.stop()
    said = own_server.idp("doctor", **LINKS)
    assert "enableServiceLinks: false" in said
    assert "is not a setting" not in said
    assert "IDP_PRT is not a setting" in own_server.idp("doctor", IDP_PRT="tcp://10.96.12.7:8080")


def test_everything_works_where_only_the_data_folder_can_be_written(pod: Server) -> None:
    assert "Everything is set up" in pod.idp("setup")
    pod.start()
    (scratch,) = scratch_of(pod)
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    application = pod.create_application("ci-bot")
    assert wait_until(lambda: pod.token(application).status == 200, "a token")
    metrics = f"http://127.0.0.1:{pod.settings['IDP_MANAGEMENT_PORT']}/metrics"
    assert wait_until(lambda: b"realmgate_tokens_issued_total" in send(metrics).body, "the metrics")
    assert "FAIL" not in pod.idp("doctor")
    pod.stop()
    assert scratch_of(pod) == []
    assert "Traceback" not in "".join(pod.output)


def test_what_a_killed_server_left_is_removed_and_what_a_living_one_has_is_not(own_server: Server) -> None:
    own_server.start()
    own_server.kill()
    (left,) = scratch_of(own_server)
    own_server.start()
    (own,) = scratch_of(own_server)
    assert own != left
    second = Server(own_server.data_dir).start()
    assert len(scratch_of(own_server)) == 2
    second.stop()
    assert scratch_of(own_server) == [own]


def make_secret_volume(folder: Path, content: str, version: str = "..2026_01_01") -> Path:
    """Lay a file out as a Secret volume has it, or renew it: a link to a link, which is what is exchanged."""
    (folder / version).mkdir(parents=True)
    file = folder / version / "master.key"
    file.write_text(content)
    os.chown(file, 0, GROUP)
    file.chmod(0o440)
    draft = folder / "..data_tmp"
    draft.symlink_to(version)
    draft.replace(folder / "..data")
    if not (folder / "master.key").is_symlink():
        (folder / "master.key").symlink_to("..data/master.key")
    return folder / "master.key"


def test_master_key_of_a_secret_volume_is_used_renewed_and_never_written(pod: Server, tmp_path: Path) -> None:
    pod.idp("setup")
    first = (pod.data_dir / "master.key").read_text()
    (pod.data_dir / "master.key").unlink()
    volume = tmp_path / "secret"
    pod.settings["IDP_MASTER_KEY_FILE"] = str(make_secret_volume(volume, first))
    assert "mode 0440" in pod.idp("realms", "list", status=1), "the group is not one of the process's own"
    pod.within = ["setpriv", f"--groups={GROUP}", *pod.within]
    pod.start()
    application = pod.create_application("ci-bot")
    assert wait_until(lambda: pod.token(application).status == 200, "a token")
    for command in (["add"], ["rotate"], ["retire", first[:8]]):
        refused = pod.idp("master-key", *command, status=1)
        assert "Traceback" not in refused
    assert "cannot be replaced (Read-only file system)" in pod.idp("master-key", "rotate", status=1)

    copy = pod.data_dir / "copy.key"
    copy.write_text(first)
    copy.chmod(0o600)
    pod.idp("master-key", "add", IDP_MASTER_KEY_FILE=str(copy))
    both = copy.read_text().splitlines(keepends=True)
    make_secret_volume(volume, "".join(both), "..2026_01_02")
    make_secret_volume(volume, "".join(reversed(both)), "..2026_01_03")
    assert f"master key {both[1][:8]} encrypts everything" in pod.idp("master-key", "rotate")
    assert pod.idp("master-key", "rotate", "--to", both[1][:8])
    make_secret_volume(volume, both[1], "..2026_01_04")
    assert pod.token(application).status == 200
    assert pod.create_application("another")
    assert "FAIL" not in pod.idp("doctor")
