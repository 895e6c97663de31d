"""`python -m tests.simulate`: the tables of docs/scaling.md that are reckoned; with `--write`, puts them into the page."""

import sys
from collections.abc import Iterator, Sequence

from tests.serving import PROJECT
from tests.simulate.cluster import Outcome, Scenario, simulate
from tests.simulate.costs import MEASURED
from tests.simulate.limiter import overshoot

PAGE = PROJECT / "docs" / "scaling.md"
BEGIN, END = "<!-- python -m tests.simulate -->", "<!-- end -->"

FULL = tuple((f"{nodes:,}", Scenario(nodes)) for nodes in (1, 2, 4, 8, 16))
SHARED = tuple(
    (f"{nodes:,}", Scenario(nodes, per_second=10_000, seconds=20 if nodes < 300 else 5)) for nodes in (10, 100, 300, 1_000)
)
REALMS = tuple((f"{realms:,}", Scenario(8, per_second=10_000, realms=realms)) for realms in (1, 10, 100, 1_000))
HOT = (
    ("8 nodes, many applications", Scenario(8, per_second=20_000)),
    ("8 nodes, one application", Scenario(8, per_second=20_000, one_application=True)),
    ("8 nodes, one application, counters first", Scenario(8, per_second=20_000, one_application=True, counters_first=True)),
    ("100 nodes, many applications", Scenario(100, per_second=20_000)),
    ("100 nodes, one application", Scenario(100, per_second=20_000, one_application=True)),
)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def load_table(scenarios: Sequence[tuple[str, Scenario]], first: str) -> str:
    """Return what comes of scenarios, one a row."""
    heads = (
        first,
        "tokens/s issued",
        "written",
        "sealed",
        "polls/s",
        "PostgreSQL cores busy: polls",
        "writes",
        "sealing",
        "other",
        "oldest memory, s",
        "connections at most",
    )
    return table(heads, [row(name, simulate(scenario)) for name, scenario in scenarios])


def row(name: str, found: Outcome) -> list[str]:
    """Return an outcome as cells."""
    spent = [f"{found.database.get(kind, 0.0):.2f}" for kind in ("polls", "writes", "sealing", "everything else")]
    rates = [f"{value:,.0f}" for value in (rounded(found.issued), rounded(found.written), rounded(found.sealed), found.polls)]
    return [name, *rates, *spent, f"{found.staleness:.2f}", f"{found.connections:,}"]


def rounded(value: float) -> float:
    """Return a rate to three digits: no more of it means anything."""
    return float(f"{value:.3g}")


def limiter_table() -> str:
    """Return by how much a limit is exceeded, by the number of nodes."""
    heads = ("nodes", "counted in Valkey", "no Valkey", "Valkey has failed")
    return table(
        heads,
        [
            [f"{nodes:,}", "1.0", f"{overshoot(nodes):,.1f}", f"{overshoot(nodes, failed=True):,.1f}"]
            for nodes in (1, 2, 10, 100, 1_000)
        ],
    )


def sizes_table() -> str:
    """Return what 100 million keys and a year of tokens take, by arithmetic."""
    row, day = MEASURED.event_bytes, 86_400
    rows = [
        (
            f"{rate:,}",
            f"{rate * day:,}",
            f"{rate * day * row / 1e9:,.1f} GB",
            f"{rate * day * row * 30 / 1e12:,.2f} TB",
            f"{rate * day * row * 365 / 1e12:,.1f} TB",
        )
        for rate in (10, 100, 1_000, 10_000)
    ]
    return table(
        ("tokens/s, day and night", "rows a day", "a day", "30 days (the least that can be set)", "365 days (default)"), rows
    )


def tables() -> Iterator[str]:
    """Return the tables, each under its heading."""
    yield "As many tokens as the cores can issue, two workers per node, PostgreSQL with 16 cores:"
    yield load_table(FULL, "nodes")
    yield "10,000 tokens/s in all, divided among more and more nodes:"
    yield load_table(SHARED, "nodes")
    yield "10,000 tokens/s on eight nodes, divided among more and more realms:"
    yield load_table(REALMS, "realms")
    yield "20,000 tokens/s, and whose counters they add to:"
    yield load_table(HOT, "counters")
    yield "How many times as much of a limit passes in a minute in which everybody asks for more:"
    yield limiter_table()
    yield "The audit trail's size:"
    yield sizes_table()


def main() -> str:
    """Return all of it."""
    return "\n\n".join(tables())


def with_tables(text: str) -> str:
    """Return the page with the tables in their place."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{main()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(with_tables(PAGE.read_text()))
    else:
        print(main())
