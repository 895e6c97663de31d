"""Each fault for a few seconds. `make faults` does the same for longer."""

import shutil
from pathlib import Path

import pytest

from tests.faults import planting
from tests.faults.drills import DRILLS, previous_release
from tests.faults.surroundings import disks_missing


@pytest.mark.parametrize("name", DRILLS)
def test_nothing_acknowledged_is_lost_and_nothing_works_that_should_not(name: str, tmp_path: Path) -> None:
    if "releases" in name and previous_release(tmp_path / "former") is None:
        pytest.skip("git has no past here, so the last release is not tried (git fetch --unshallow)")
    if "disk" in name and (reason := disks_missing()):
        pytest.skip(reason)
    (tmp_path / "fleet").mkdir()
    result = DRILLS[name](tmp_path / "fleet", 1)
    print(name, result.figures)
    assert result.findings == []


@pytest.mark.skipif(
    shutil.which("patch") is None, reason="patch is not installed, so planted bugs are not tried (apt-get install patch)"
)
def test_every_bug_can_be_planted() -> None:
    assert len(planting.all_bugs()) >= 20
    assert {bug.name: reason for bug in planting.all_bugs() if (reason := planting.applies(bug))} == {}
