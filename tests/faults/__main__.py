"""All drills, longer than in `make test`, and all planted bugs: `make faults`. Writes docs/reliability.md."""

import argparse
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import drills, planting
from tests.forking import PROJECT

PAGE = PROJECT / "docs/reliability.md"
BEGIN, END = "<!-- written by make faults -->", "<!-- end -->"


def main() -> int:
    """Run what was chosen, and write the page if that was everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--times", type=float, default=5, help="how many times as long as in make test (5)")
    parser.add_argument("--only", default="", help="drills whose name contains this; the page is not written then")
    parser.add_argument("--no-bugs", action="store_true", help="without the planted bugs")
    chosen = parser.parse_args()
    lines = ["| fault | findings | what was seen |", "|---|---|---|"]
    bad = 0
    for name, drill in drills.DRILLS.items():
        if chosen.only not in name:
            continue
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="realmgate-drill-") as folder:
            result = drill(Path(folder), chosen.times)
        bad += len(result.findings)
        figures = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in result.figures.items())
        lines.append(f"| {name} | {len(result.findings) or 'none'} | {figures} |")
        print(f"{name}: {time.monotonic() - begun:.0f} s\n  {figures}", *result.findings[:10], sep="\n  ", flush=True)
    found: list[str] = []
    if not chosen.no_bugs and not chosen.only:
        for bug in planting.all_bugs():
            finding = planting.plant(bug)
            bad += not finding
            found.append(f"| {planting.title(bug)} | {finding or '**not found**'} |")
            print(found[-1], flush=True)
        write(lines, found, chosen.times)
    return 1 if bad else 0


def write(lines: list[str], found: list[str], times: float) -> None:
    """Put the tables into the page."""
    day = datetime.now(UTC).date().isoformat()
    made = f"{day}, {platform.machine()}, {times:g} times as long as in `make test`, two nodes of two workers where nothing else is said."
    text = PAGE.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    planted = ["", "| planted bug | what the checker says |", "|---|---|", *found]
    PAGE.write_text(before + "\n".join([BEGIN, "", made, "", *lines, *planted, "", END]) + after)


if __name__ == "__main__":
    sys.exit(main())
