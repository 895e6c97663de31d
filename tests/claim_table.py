"""The table of claims in docs/protocol.md, made from the list that the tokens are made from: `python -m tests.claim_table`."""

from pathlib import Path

from idp.tokens import INTROSPECTED_CLAIMS
from idp.tokens.claim_list import CLAIMS, FORMS

PAGE = Path(__file__).parents[1] / "docs" / "protocol.md"
BEGIN = "<!-- The table of claims is made from idp/tokens/claim_list.py: `make docs` -->\n"
END = "<!-- End of the table of claims -->\n"


def table() -> str:
    """Return the table in Markdown: which token says what."""
    heads = ["claim", "meaning", *(form.title for form in FORMS), "introspection", "`claims_supported`"]
    lines = [_row(heads), _row(["---", "---", *[":-:"] * (len(heads) - 2)])]
    for claim in CLAIMS:
        marks = [*(claim.name in form.names for form in FORMS), claim.name in INTROSPECTED_CLAIMS, claim.advertised]
        lines.append(_row([f"`{claim.name}`", claim.meaning, *("●" if marked else "" for marked in marks)]))
    return "".join(lines)


def page() -> str:
    """Return the page with the table as it has to be.

    :raises ValueError: the page has no place for it.
    """
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} does not have the lines between which the table stands")
    return before + begin + table() + end + after


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
