"""What docs/scaling.md says of sizes that cannot be measured here."""

import dataclasses
import itertools
from collections.abc import Iterator

import pytest

from idp.feed import CONFIRM_AFTER, CONFIRM_AT_LAST
from idp.ratelimit import Rate, Use, rates
from idp.ratelimit.rates import MemoryCounters, Refusal
from tests.simulate import __main__ as page
from tests.simulate.cluster import Cluster, Scenario, simulate
from tests.simulate.costs import MEASURED, MEASURED_HERE, TWO_OVER_ONE
from tests.simulate.engine import Lock, Processors, Timeline
from tests.simulate.limiter import Bucket, overshoot


def test_page_has_the_tables_that_the_command_prints() -> None:
    assert page.PAGE.read_text() == page.with_tables(page.PAGE.read_text()), "run make docs"


def test_two_nodes_on_cores_of_their_own_issue_twice_what_one_does() -> None:
    one, two = (simulate(Scenario(nodes)) for nodes in (1, 2))
    assert two.issued / one.issued >= 1.8
    assert two.written / one.written >= 1.8


def test_twenty_thousand_tokens_a_second_cost_a_database_of_sixteen_cores_little() -> None:
    found = simulate(Scenario(8, per_second=20_000))
    assert found.keeps_up
    assert found.busy < 4


def test_polls_of_a_thousand_nodes_are_five_a_second_and_worker_at_most() -> None:
    (busy,) = (simulate(scenario) for name, scenario in page.SHARED if name == "1,000")
    assert busy.polls <= 2_000 / CONFIRM_AFTER
    assert busy.database["polls"] < 16 / 4, "polls alone leave a database of sixteen cores most of its time"
    assert busy.keeps_up


def test_nothing_is_served_from_memory_that_is_older_than_a_second_even_on_a_database_that_is_far_too_small() -> None:
    crowded = simulate(Scenario(300, per_second=10_000, database_cores=1, seconds=10))
    assert crowded.staleness <= CONFIRM_AT_LAST
    assert crowded.waiting > 0.2, "requests wait instead"


def test_seals_of_many_realms_are_far_slower_than_of_one() -> None:
    found = {name: simulate(scenario) for name, scenario in page.REALMS}
    assert found["1"].sealed > 0.9 * found["1"].written
    assert found["1,000"].sealed < 500


def test_one_chain_of_seals_is_what_a_database_has_first_too_little_of() -> None:
    full = dict(page.FULL)
    large = simulate(full["16"])
    assert large.keeps_up
    assert large.sealed < 0.5 * large.written, "events are written, and wait to be sealed"
    assert simulate(full["2"]).sealed > 0.9 * simulate(full["2"]).written


def test_counters_of_one_application_are_a_line_that_all_workers_stand_in_for_a_moment_only() -> None:
    found = {name: simulate(scenario) for name, scenario in page.HOT}
    assert found["8 nodes, one application"].keeps_up
    assert not found["8 nodes, one application, counters first"].keeps_up
    assert found["100 nodes, one application"].keeps_up


def test_work_that_nobody_asked_for_takes_less_than_one_core_of_the_database_of_a_thousand_nodes() -> None:
    (busy,) = (simulate(scenario) for name, scenario in page.SHARED if name == "1,000")
    assert busy.database["everything else"] < 1


@pytest.mark.parametrize("nodes", [1, 2, 10, 1_000])
def test_nodes_together_let_about_the_limit_pass_without_a_valkey_and_half_of_it_after_one_has_failed(nodes: int) -> None:
    assert overshoot(nodes) <= 1.25, "what is too little to be divided is rounded up"
    assert overshoot(nodes, failed=True) <= 0.85
    assert overshoot(min(nodes, 10)) == pytest.approx(1, rel=0.02)


def test_bucket_of_the_simulation_is_that_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    times: Iterator[float] = itertools.count(100.0, 0.013)
    now = [0.0]
    monkeypatch.setattr(rates, "time", type("Clock", (), {"monotonic": staticmethod(lambda: now[0])}))
    counters, bucket, use = MemoryCounters(), Bucket(7, 35), Use(Rate("r", 7, 35), "x")
    for _ in range(5_000):
        now[0] = next(times)
        assert bucket.let_pass(now[0]) == (not isinstance(counters.use([use]), Refusal))


def test_simulation_says_of_one_node_and_of_two_what_was_measured() -> None:
    """Its parts were measured one by one; the whole was measured, too."""
    for nodes, measured in MEASURED_HERE.items():
        scenario = Scenario(nodes, workers=1, per_second=measured.per_second, database_cores=1, one_application=True)
        found = simulate(scenario)
        assert found.keeps_up
        assert found.busy / found.issued == pytest.approx(measured.database_per_token, rel=0.35)
    one, two = (simulate(Scenario(nodes, workers=1)).issued for nodes in (1, 2))
    assert two / one == pytest.approx(TWO_OVER_ONE, rel=0.1)


def test_same_seed_gives_the_same_and_another_nearly_the_same() -> None:
    scenario = Scenario(4, per_second=8_000)
    first, again, other = (Cluster(scenario, seed).run() for seed in (1, 1, 2))
    assert first == again
    assert other != first
    assert other.busy == pytest.approx(first.busy, rel=0.1)


def test_what_costs_twice_as_much_takes_the_database_twice_as_long() -> None:
    scenario = Scenario(2, per_second=5_000)
    dear = dataclasses.replace(MEASURED, poll_database=2 * MEASURED.poll_database)
    one, two = simulate(scenario), simulate(dataclasses.replace(scenario, costs=dear))
    assert two.database["polls"] == pytest.approx(2 * one.database["polls"], rel=0.02)


# -- what it is made of --------------------------------------------------------------------------------------------------


def test_jobs_take_turns_on_the_cores_there_are() -> None:
    timeline, ended = Timeline(), []
    cores = Processors(timeline, 2)
    for name, seconds in (("long", 1.0), ("longer", 1.5), ("short", 0.01)):
        cores.work(seconds, "work", lambda name=name: ended.append((name, round(timeline.now, 2))))
    timeline.run(10)
    assert ended[0][0] == "short"
    assert ended[0][1] < 0.03, "it need not wait for the end of the long ones"
    assert cores.busy["work"] == pytest.approx(2.51)
    assert ended[-1][1] == pytest.approx(1.5, abs=0.02)


def test_lock_is_held_by_one_and_who_waits_too_long_gives_up() -> None:
    timeline, said = Timeline(), []
    lock = Lock(timeline)

    def come(name: str, holds: float) -> None:
        def got() -> None:
            said.append(f"{name} has it")
            timeline.after(holds, lock.release)

        lock.take(got, lambda: said.append(f"{name} gave up"), within=2.0)

    come("first", 3.0)
    come("second", 1.0)
    timeline.after(2.5, lambda: come("third", 1.0))
    timeline.run(10)
    assert said == ["first has it", "second gave up", "third has it"]
    come("fourth", 1.0)
    assert said[-1] == "fourth has it"
