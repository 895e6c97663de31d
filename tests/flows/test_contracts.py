"""The contracts of other systems on PostgreSQL, which compares and puts in order in a way of its own."""

from tests.compat import test_runai_lists as runai_lists
from tests.compat import test_runai_walk as runai
from tests.factories import Factory, session_of


def test_walk_through_the_contract_of_runai(pg_make: Factory) -> None:
    walk = runai.begin_walk(pg_make.app.test_client(), pg_make)
    runai.walk_all(walk)
    assert {name: each for name, each in walk.findings.items() if each} == {}


def test_lists_of_runai_are_narrowed_as_on_sqlite(pg_make: Factory) -> None:
    pg_make.user("admin@example.test", roles=("administrator",))
    rules = runai_lists.arrange_rules(pg_make)
    client = pg_make.app.test_client()
    runai_lists.check_all_that_is_asked(client, session_of(client, "admin@example.test"), rules)
