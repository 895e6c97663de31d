"""The unit for systemd in deploy/: systemd has nothing against it, and its own rating of what a service may do is good."""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from idp.crypto import MasterKeyError
from idp.master_keys import load_master_keys
from idp.settings import Settings
from tests.serving import IDP, PATIENCE, PROJECT

UNIT = PROJECT / "deploy" / "systemd" / "realmgate.service"
GOOD = 20
"""Tenths of systemd's points of exposure, of which a service without any bounds has 96."""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed, so its unit is not tried")
def test_systemd_has_nothing_against_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "realmgate.service"
    text = UNIT.read_text()
    assert "/opt/realmgate/bin/idp" in text
    unit.write_text(text.replace("/opt/realmgate/bin/idp", str(IDP)))
    (tmp_path / "realmgate.service.d").mkdir()
    shutil.copy(UNIT.with_name("credentials.conf"), tmp_path / "realmgate.service.d")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rate = ["systemd-analyze", "security", "--offline=true", f"--threshold={GOOD}", "--json=short", unit]
    rated = subprocess.run(rate, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert rated.returncode == 0, [each["description"] for each in json.loads(rated.stdout) if each["exposure"]]


def settings_of(*paths: Path) -> dict[str, list[str]]:
    """Return the lines of units, by name."""
    found: dict[str, list[str]] = {}
    for path in paths:
        for name, value in re.findall(r"^([A-Z]\w+)=(.*)$", path.read_text(), re.MULTILINE):
            found.setdefault(name, []).append(value)
    return found


def test_systemd_waits_for_the_server_and_the_credentials_are_those_that_settings_name() -> None:
    unit = settings_of(UNIT, UNIT.with_name("credentials.conf"))
    assert unit["Type"] == ["notify"]
    assert unit["NoNewPrivileges"] == unit["DynamicUser"] == ["yes"]
    assert unit["LimitCORE"] == ["0"], "a core dump would hold keys"
    variables = dict(each.split("=", 1) for each in unit["Environment"])
    loaded = {each.partition(":")[0] for each in unit["LoadCredential"]}
    assert {value.removeprefix("%d/") for value in variables.values() if value.startswith("%d/")} == loaded
    for name in variables.keys() - {"IDP_CONFIG"}:
        assert name.removeprefix("IDP_").lower() in Settings.model_fields


@pytest.mark.skipif(os.geteuid() != 0, reason="the group of a file can be given away by root alone")
def test_master_key_is_taken_from_systemd_whose_list_of_users_looks_like_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "master.key"
    file.write_text(f"abcdefgh:{base64.b64encode(bytes(32)).decode()}\n")
    os.chown(file, -1, 20_418)
    file.chmod(0o440)
    with pytest.raises(MasterKeyError, match="mode 0440"):
        load_master_keys(file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "of-another"))
    with pytest.raises(MasterKeyError, match="mode 0440"):
        load_master_keys(file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_master_keys(file).current == "abcdefgh"
    for mode in (0o460, 0o444, 0o644):
        file.chmod(mode)
        with pytest.raises(MasterKeyError, match=f"mode 0{mode:o}"):
            load_master_keys(file)
