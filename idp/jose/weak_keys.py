"""RSA keys that can be factored although they are long, by what their modulus shows."""

from math import gcd, prod

SHORTEST_RSA, LONGEST_RSA = 2048, 8192
"""Bits of a modulus (NIST SP 800-131A); longer ones cost whoever checks a signature too much."""

LARGEST_EXPONENT = 2**32
"""Larger ones gain nothing, and cost whoever checks a signature too much."""


def _primes_below(limit: int) -> list[int]:
    return [number for number in range(3, limit) if all(number % divisor for divisor in range(2, int(number**0.5) + 1))]


_SMALL_FACTORS = 2 * prod(_primes_below(2000))

_INFINEON = {prime: frozenset(pow(65537, power, prime) for power in range(prime - 1)) for prime in _primes_below(168)}
"""The library of CVE-2017-15361 took primes of the form k*M + (65537^a mod M), where M is the product of the first primes. So
the modulus is a power of 65537, too, in the remainders by each of those: these are the powers there are. Another modulus has
all of the remainders by chance once in 2^27 (Nemec et al., "The Return of Coppersmith's Attack", 2017, section 4)."""


def weakness_of_rsa(modulus: int, exponent: int, longest: int = LONGEST_RSA) -> str:
    """Return what is wrong with a public key, as a sentence; empty when nothing is found."""
    if not SHORTEST_RSA <= modulus.bit_length() <= longest:
        return f"An RSA key must have {SHORTEST_RSA} to {longest} bits."
    if exponent < 3 or exponent % 2 == 0 or exponent > LARGEST_EXPONENT:
        return "The exponent of an RSA key must be an odd number from 3 to 2^32; 65537 is the usual one."
    if gcd(modulus, _SMALL_FACTORS) != 1:
        return "The modulus of the RSA key has a small factor, so anybody can find the private key."
    if all(modulus % prime in powers for prime, powers in _INFINEON.items()):
        return "The RSA key was made by a library whose keys can be broken (CVE-2017-15361, ROCA). Make another elsewhere."
    return ""
