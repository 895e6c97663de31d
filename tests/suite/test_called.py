"""The server of somebody else's that is called in tests hears only what has come whole."""

import http.client
import socket

from tests.called import being_called
from tests.serving import PATIENCE


def test_what_is_cut_in_the_middle_was_not_said() -> None:
    with being_called(200) as place:
        address = ("127.0.0.1", place.server_address[1])
        with socket.create_connection(address, PATIENCE) as cut:
            cut.sendall(b"POST /told HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
            cut.shutdown(socket.SHUT_WR)
            assert cut.recv(1) == b"", "nor is it answered"
        whole = http.client.HTTPConnection(*address, timeout=PATIENCE)
        whole.request("POST", "/told", "whole")
        assert whole.getresponse().status == 200
        whole.close()
        assert [each.body for each in place.heard] == ["whole"]
