"""All drills, longer than in `make test`, and all planted bugs: `make faults`. Writes docs/reliability.md.

What is run replaces what the page said of it; the rest of the page stays.
"""

import argparse
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import planting, soak
from tests.faults.catalogue import DRILLS, FAULTS, numbers_of, shown_by
from tests.forking import PROJECT

PAGE = PROJECT / "docs/reliability.md"
BEGIN, END = "<!-- written by make faults -->", "<!-- end -->"


def main() -> int:
    """Run what was chosen, and write down what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--times", type=float, default=5, help="how many times as long as in make test (5)")
    parser.add_argument("--soak", type=float, default=600, help="seconds of all faults one after the other (600)")
    parser.add_argument("--only", default="", help="drills and bugs whose name contains this, and no others")
    parser.add_argument("--no-bugs", action="store_true", help="without the planted bugs")
    chosen = parser.parse_args()
    seen, found = rows_of(PAGE.read_text())
    bad = 0
    for name, drill in DRILLS.items():
        if chosen.only not in name:
            continue
        begun = time.monotonic()
        times = chosen.soak / soak.SHORT if name in soak.DRILLS else chosen.times
        with tempfile.TemporaryDirectory(prefix="realmgate-drill-") as folder:
            result = drill(Path(folder), times)
        bad += len(result.findings)
        figures = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in result.figures.items())
        made = f"{datetime.now(UTC).date().isoformat()}, {time.monotonic() - begun:.0f} s"
        seen[name] = f"{len(result.findings) or 'none'} | {figures} | {made}"
        print(f"{name}: {made}\n  {figures}", *result.findings[:10], sep="\n  ", flush=True)
    for bug in planting.all_bugs():
        if chosen.no_bugs or chosen.only not in planting.title(bug):
            continue
        finding = planting.plant(bug)
        bad += not finding
        found[planting.title(bug)] = finding or "**not found**"
        print(planting.title(bug), finding, sep=": ", flush=True)
    PAGE.write_text(page(PAGE.read_text(), seen, found))
    return 1 if bad else 0


def rows_of(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the page says of each drill, and of each planted bug, by their names."""
    written = text.partition(BEGIN)[2].partition(END)[0]
    of_drills, _, of_bugs = written.partition("| drill |")[2].partition("| planted bug |")
    return _rows(of_drills), _rows(of_bugs)


def _rows(table: str) -> dict[str, str]:
    return dict(re.findall(r"^\| ([^|]+) \| (?!-)(.+) \|$", table, re.MULTILINE))


def page(text: str, seen: dict[str, str], found: dict[str, str]) -> str:
    """Return the page with its tables: what shows each fault, what was seen in each drill, and which planted bugs were found."""
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return before + "\n".join([BEGIN, "", *_tables(seen, found), "", END]) + after


def _tables(seen: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    yield from ("| number | fault | shown by |", "|---|---|---|")
    for number, fault in FAULTS.items():
        yield f"| {number} | {fault} | {'; '.join(shown_by(number))} |"
    yield from ("", f"Two nodes of two workers where nothing else is said, {platform.machine()}.", "")
    yield from ("| drill | findings | what was seen | when, and how long it took |", "|---|---|---|---|")
    for name in sorted((name for name in DRILLS if name in seen), key=lambda name: numbers_of(DRILLS[name])):
        yield f"| {name} | {seen[name]} |"
    yield from ("", "| planted bug | what the checker says |", "|---|---|")
    for title in map(planting.title, planting.all_bugs()):
        yield f"| {title} | {found.get(title, 'not tried yet')} |"


if __name__ == "__main__":
    sys.exit(main())
