"""A proof works once, whoever tries, on whichever worker and node."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from idp import proofs
from idp.app import close_app, create_app
from idp.jose import Proof
from idp.proofs import ProofError, UsedProof
from idp.settings import Settings
from tests.bound.proving import Prover
from tests.factories import Factory
from tests.flows.conftest import database_url, pg_make, pg_settings, pg_template, postgres  # noqa: F401 (fixtures)
from tests.serving import Server, send


@pytest.fixture(params=["sqlite", "postgresql"])
def nodes(request: pytest.FixtureRequest) -> Iterator[list[Flask]]:
    """Two applications on one database of each kind, as two nodes are."""
    make: Factory = request.getfixturevalue("pg_make" if request.param == "postgresql" else "make")
    settings: Settings = make.app.extensions["realmgate"].settings
    other = create_app(settings)
    yield [make.app, other]
    close_app(other)


def test_of_many_on_two_nodes_one_wins(nodes: list[Flask]) -> None:
    proof, won = Proof("key", "jti", "", "ES256", until=2**31), []
    begin = threading.Barrier(16)

    def use(number: int) -> None:
        with nodes[number % 2].app_context():
            begin.wait()
            try:
                proofs.use_up(proof)
            except ProofError:
                return
            won.append(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, range(16)))
    assert len(won) == 1


def test_database_that_is_locked_is_waited_for(app: Flask) -> None:
    """A claim waits for who writes, as everything does, and does not count as made before it is."""
    from idp.db import db

    proof = Proof("key", "jti", "", "ES256", until=2**31)
    with app.app_context():
        connection = db.engine.connect()
        connection.exec_driver_sql("DELETE FROM used_proof")
        claimed = threading.Event()

        def use() -> None:
            with app.app_context():
                proofs.use_up(proof)
                claimed.set()

        thread = threading.Thread(target=use)
        thread.start()
        assert not claimed.wait(0.3)
        connection.commit()
        connection.close()
        thread.join(10)
        assert claimed.is_set()
        assert db.session.query(UsedProof).count() == 1


def test_two_workers_take_a_proof_once(own_server: Server) -> None:
    own_server.settings["IDP_WORKERS"] = "2"
    own_server.start()
    made = own_server.create_application("bound")
    form = {"grant_type": "client_credentials", "client_id": "bound", "client_secret": made["client_secret"]}
    url = own_server.endpoint("token")
    for _ in range(3):
        headers = Prover().headers(url=url)
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _, headers=headers: send(url, form, headers), range(24)))
        assert sorted(answer.status for answer in answers) == [200] + [400] * 23
        assert {answer.json["error"] for answer in answers if answer.status == 400} == {"invalid_dpop_proof"}


def test_two_headers_are_refused_by_the_served_program(own_server: Server) -> None:
    """What the HTTP server below makes of a header that is sent twice is no proof."""
    import http.client

    own_server.start()
    made = own_server.create_application("bound")
    body = f"grant_type=client_credentials&client_id=bound&client_secret={made['client_secret']}"
    url, prover = own_server.endpoint("token"), Prover()
    statuses = []
    for count in (1, 2):
        connection = http.client.HTTPConnection("127.0.0.1", own_server.port)
        connection.putrequest("POST", url.removeprefix(own_server.url))
        for name, value in (("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(body)))):
            connection.putheader(name, value)
        for _ in range(count):
            connection.putheader("DPoP", prover.proof(url=url))
        connection.endheaders(body.encode())
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [200, 400]
