"""Each fault for a few seconds. `make faults` does the same for longer."""

import shutil
from pathlib import Path

import pytest

from tests.faults import planting
from tests.faults.__main__ import PAGE, page, rows_of
from tests.faults.catalogue import DRILLS, FAULTS, LONG_ONLY, TESTS, numbers_of, program_of, shown_by
from tests.faults.drills import previous_release
from tests.faults.surroundings import disks_missing
from tests.prepare import program_missing
from tests.serving import PROJECT


@pytest.mark.parametrize("name", [name for name in DRILLS if name not in LONG_ONLY])
def test_nothing_acknowledged_is_lost_and_nothing_works_that_should_not(name: str, tmp_path: Path) -> None:
    if "releases" in name and previous_release(tmp_path / "former") is None:
        pytest.skip("git has no past here, so the last release is not tried (git fetch --unshallow)")
    if "disk" in name and (reason := disks_missing()):
        pytest.skip(reason)
    if (program := program_of(name)) and (missing := program_missing(program)):
        pytest.skip(missing)
    (tmp_path / "fleet").mkdir()
    result = DRILLS[name](tmp_path / "fleet", 1)
    print(name, result.figures)
    assert result.findings == []
    if reason := result.figures.get("not tried"):
        pytest.skip(f"the rest has passed: {reason}")


def test_every_fault_is_shown_by_something() -> None:
    assert not LONG_ONLY - set(DRILLS)
    assert {number for drill in DRILLS.values() for number in numbers_of(drill)} <= set(FAULTS)
    assert [number for number in FAULTS if not list(shown_by(number))] == []
    assert [path for tests in TESTS.values() for path in tests.values() if not (PROJECT / path).is_file()] == []


def test_page_is_as_the_drills_are() -> None:
    seen, found = rows_of(PAGE.read_text())
    assert page(PAGE.read_text(), seen, found) == PAGE.read_text(), (
        "run python -m tests.faults --only, with the name of what is new"
    )
    assert set(seen) == set(DRILLS)


@pytest.mark.skipif(
    shutil.which("patch") is None, reason="patch is not installed, so planted bugs are not tried (apt-get install patch)"
)
def test_every_bug_can_be_planted() -> None:
    assert len(planting.all_bugs()) >= 20
    assert {bug.name: reason for bug in planting.all_bugs() if (reason := planting.applies(bug))} == {}
