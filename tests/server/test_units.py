"""The unit for systemd in deploy/: systemd has nothing against it, and its own rating of what a service may do is good."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

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
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rate = ["systemd-analyze", "security", "--offline=true", f"--threshold={GOOD}", "--json=short", unit]
    rated = subprocess.run(rate, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert rated.returncode == 0, [each["description"] for each in json.loads(rated.stdout) if each["exposure"]]
