"""What `make test` sets up is what is written down, not what an earlier one left."""

import json
import shutil
from pathlib import Path

import pytest

from tests import prepare


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed, so the clients from npm are not tried")
def test_clients_of_another_version_count_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "NODE_FOLDER", tmp_path)
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"@of/one": "1.2.3"}}))
    assert prepare.node_clients_missing() is not None
    package = tmp_path / "node_modules" / "@of" / "one" / "package.json"
    package.parent.mkdir(parents=True)
    for version in ("1.2.2", "1.2.3"):
        package.write_text(json.dumps({"version": version}))
        assert (prepare.node_clients_missing() is None) == (version == "1.2.3")
