"""A server that is told to end, and goes on answering until proxies have left it out."""

from pathlib import Path

import pytest

from tests.serving import PATIENCE, Server, send, wait_until


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_is_not_ready_but_answers_until_the_delay_or_a_second_signal(tmp_path: Path, workers: str) -> None:
    server = Server(tmp_path, settings={"IDP_STOP_DELAY": "300", "IDP_WORKERS": workers})
    server.start()
    application = server.create_application("bot")
    assert send(f"{server.url}/health/ready").status == 200
    assert server.process is not None
    server.process.terminate()
    wait_until(lambda: send(f"{server.url}/health/ready").status == 503, "the end of readiness")
    answer = send(f"{server.url}/health/ready").json
    assert answer["checks"] == {"database": "UP", "clock": "UP", "threads": "UP", "serving": "DOWN"}
    assert {send(f"{server.url}/health/ready").status for _ in range(10)} == {503}, "whichever worker is asked"
    assert {server.token(application).status for _ in range(10)} == {200}
    assert server.process.poll() is None
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
