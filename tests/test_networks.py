"""One reader of addresses, in every form in which they come."""

import pytest

from idp.apikeys.policy import check_addresses
from idp.errors import InvalidValueError
from idp.networks import is_in, is_loopback, network_of, plain_address, read_address, wide_network_of
from idp.settings import Settings
from idp.web.address import client_address, is_trusted
from idp.web.transport import is_private

FORMS = {
    "192.0.2.7": "192.0.2.7",
    " 192.0.2.7 ": "192.0.2.7",
    "192.0.2.7:49152": "192.0.2.7",
    "192.0.2.7:_port": "192.0.2.7",
    "::ffff:192.0.2.7": "192.0.2.7",
    "::FFFF:C000:0207": "192.0.2.7",
    "[::ffff:192.0.2.7]:49152": "192.0.2.7",
    '"[2001:DB8::7]:49152"': "2001:db8::7",
    "[2001:db8::7]": "2001:db8::7",
    "2001:DB8:0:0::7": "2001:db8::7",
    "fe80::7%eth0": "fe80::7",
    "[FE80::7%2]:80": "fe80::7",
    "::1": "::1",
    "2001:db8::1:80": "2001:db8::1:80",
}
NONE = (
    "",
    "unknown",
    "_hidden",
    '"_hidden:80"',
    "localhost",
    "192.0.2",
    "192.0.2.07",
    "192.0.2.7%eth0",
    "192.0.2.7:80:90",
    "[192.0.2.7",
    "[]:80",
    "[::1]x",
    "::1%",
    "for=192.0.2.7",
    "192.0.2.0/24",
    "1" * 5_000,
    "\u0661.1.1.1",
)


@pytest.mark.parametrize(("text", "address"), FORMS.items())
def test_every_form_of_an_address_is_that_address_everywhere(text: str, address: str) -> None:
    assert plain_address(text) == address
    assert is_in(text, (address,))
    assert network_of(text) == network_of(address)
    assert wide_network_of(text) == wide_network_of(address)
    # as the peer, as a proxy, and as what a proxy says
    assert client_address({"REMOTE_ADDR": text}, ()) == address
    assert is_trusted({"REMOTE_ADDR": text}, (address,))
    assert client_address({"REMOTE_ADDR": text, "HTTP_X_FORWARDED_FOR": "203.0.113.5"}, (address,)) == "203.0.113.5"
    assert client_address({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": f"203.0.113.5, {text}"}, ("10.0.0.1",)) == address


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_address_is_in_no_network_and_is_kept_as_it_is(text: str) -> None:
    assert read_address(text) is None
    assert not is_in(text, ("0.0.0.0/0", "::/0"))
    assert not is_loopback(text)
    assert plain_address(text) == network_of(text) == text


def test_unknown_hop_ends_the_search_at_the_proxy_that_passed_it_on() -> None:
    for hop in ("unknown", "_hidden", ""):
        environ = {"REMOTE_ADDR": "::ffff:10.0.0.1", "HTTP_X_FORWARDED_FOR": f"203.0.113.5, {hop}"}
        assert client_address(environ, ("10.0.0.0/8",)) == "10.0.0.1"


@pytest.mark.parametrize(
    ("written", "network"),
    {
        "::ffff:10.0.0.0/104": "10.0.0.0/8",
        "::ffff:192.0.2.7": "192.0.2.7/32",
        "::ffff:0:0/96": "0.0.0.0/0",
        "2001:DB8::/32": "2001:db8::/32",
        "[::1]": "::1/128",
        "[fe80::7%eth0]": "fe80::7/128",
        " 192.0.2.7 ": "192.0.2.7/32",
        "::/0": "::/0",
    }.items(),
)
def test_networks_of_proxies_and_of_keys_are_read_alike(written: str, network: str) -> None:
    assert Settings.load(trusted_proxies=written).trusted_proxies == (network,)
    assert check_addresses([written]) == [network]


@pytest.mark.parametrize(
    "written", ["[::1]:80", "10.0.0.1:80", "::ffff:10.0.0.0/33x", "unknown", "[10.0.0.1", "10.0.0.0/33", "fe80::%/64x"]
)
def test_what_is_no_network_binds_no_key(written: str) -> None:
    with pytest.raises(InvalidValueError):
        check_addresses([written])


def test_this_machine_is_itself_in_every_form() -> None:
    for peer in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "[::1]:80"):
        assert is_private({"REMOTE_ADDR": peer}, ()), peer
    assert not is_private({"REMOTE_ADDR": "::ffff:10.0.0.1"}, ())
