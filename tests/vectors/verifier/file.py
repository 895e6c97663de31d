"""The file that the verifiers read."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.vectors.verifier import algorithms, bodies, bound, headers, key_sets, recalls, shapes
from tests.vectors.verifier.building import AUDIENCE, ISSUER, Vector, unique

FOLDER = Path(__file__).parents[3] / "clients" / "vectors"
PATH, RECALL_PATH = FOLDER / "tokens.json", FOLDER / "recall.json"
SETTINGS = {
    "issuer": ISSUER,
    "audience": [AUDIENCE],
    "algorithms": ["RS256", "ES256"],
    "id_token_audience": [],
    "session_tokens": False,
    "leeway": 30,
}


def vectors() -> list[Vector]:
    """Return all vectors."""
    return unique(_all())


def _all() -> Iterator[Vector]:
    for part in (algorithms, headers, bodies, bound, shapes, key_sets):
        yield from part.vectors()


def text() -> str:
    """Return the file: one line for each key set and each vector."""
    made = vectors()
    sets = ",\n".join(f"{_line(name)}: {_line(key_set)}" for name, key_set in key_sets.SETS.items())
    lines = ",\n".join(_line(vector.as_json()) for vector in made)
    return f'{{\n"settings": {_line(SETTINGS)},\n"key_sets": {{\n{sets}\n}},\n"vectors": [\n{lines}\n]\n}}\n'


def recall_text() -> str:
    """Return the file of feeds: one line for each story."""
    key_sets_line = _line(key_sets.SETS["ordinary"])
    made = list(recalls.stories())
    if len({story.name for story in made}) != len(made):
        raise ValueError("two stories share a name")
    lines = ",\n".join(_line(story.as_json()) for story in made)
    return f'{{\n"settings": {_line(SETTINGS)},\n"key_set": {key_sets_line},\n"stories": [\n{lines}\n]\n}}\n'


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
