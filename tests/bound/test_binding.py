"""What a claim `cnf` says, whoever has written it: to nothing that is known must not read as to nothing."""

from typing import Any

import pytest

from idp.proofs import ANYBODYS, Binding, ProofError, bound_to, check_binding

UNKNOWN: list[Any] = [
    {},
    {"jkt": ""},
    {"jkt": None},
    {"x5t#S256": None},
    {"x5t#S256": ""},
    {"jkt": "a key", "x5t#S256": None},
    {"jkt": ["a key"]},
    {"jkt": "a key", "kid": "another"},
    {"jku": "https://keys.example"},
    None,
    [],
    "jkt",
    7,
]


@pytest.mark.parametrize("confirmation", UNKNOWN, ids=repr)
@pytest.mark.parametrize("shown", [ANYBODYS, Binding(jkt="a key"), Binding(x5t="a certificate")], ids=["nothing", "key", "cert"])
def test_token_that_is_bound_to_nothing_known_is_refused(confirmation: Any, shown: Binding) -> None:
    with pytest.raises(ProofError, match="bound to something that is not known here"):
        check_binding({"cnf": confirmation}, shown)
    with pytest.raises(ProofError):
        bound_to({"cnf": confirmation})


@pytest.mark.parametrize(
    "binding", [Binding(jkt="a key"), Binding(x5t="a certificate"), Binding(jkt="a key", x5t="a certificate")]
)
def test_what_is_written_is_read_again(binding: Binding) -> None:
    assert bound_to({"cnf": binding.confirmation}) == binding
    check_binding({"cnf": binding.confirmation}, binding)
    with pytest.raises(ProofError):
        check_binding({"cnf": binding.confirmation}, ANYBODYS)


def test_token_without_the_claim_is_anybodys() -> None:
    assert bound_to({}) == ANYBODYS
    check_binding({}, ANYBODYS)
    with pytest.raises(ProofError, match="bound to no key"):
        check_binding({}, Binding(jkt="a key"))
