"""The security posture as the console words it: what is asked, what that means, what to do, and the filter of a list by it."""

from collections.abc import Iterable
from dataclasses import dataclass

from idp.console.lists import Filter
from idp.posture import OF_APPLICATIONS, OF_KEYS, Question

REVIEW = "review"
"""The filter of a list, in its URL."""


@dataclass(frozen=True)
class Line:
    """What is said of a question."""

    title: str
    meaning: str
    mend: str
    """What to do about it."""


LINES: dict[Question, Line] = {
    Question.OFFBOARDING: Line(
        "Forgotten identities", "that nobody has used for 90 days, or whose owner is disabled", "Disable them"
    ),
    Question.LEAKAGE: Line("Secrets that scanners cannot find", "imported, without our prefix", "Replace them"),
    Question.THIRD_PARTIES: Line("Applications that registered themselves", "review what they may do", "Review"),
    Question.AUTHENTICATION: Line("Static secrets", "where a key pair would prove the identity without one", "Use public keys"),
    Question.PRIVILEGES: Line("Programs that can assign roles", "on the whole organisation", "Narrow them"),
    Question.CONFIGURATION: Line("Signing keys without rotation", "they are rotated manually only", "Turn it on"),
    Question.LONG_LIVED: Line("Long-lived credentials", "secrets older than a year, keys that never expire", "Rotate them"),
    Question.ISOLATION: Line("Programs in more than three projects", "one leak reaches all of them", "Separate them"),
    Question.REUSE: Line("Identities that seem shared", "with more than three secrets that work", "Separate them"),
    Question.HUMAN_USE: Line("Keys that carry all that a person may do", "without an end", "Narrow them"),
}


def _filter(questions: Iterable[Question]) -> Filter:
    return Filter(REVIEW, "Security posture", {"": "Any posture"} | {each.value: LINES[each].title for each in questions})


APPLICATION_FILTER, KEY_FILTER = _filter(OF_APPLICATIONS), _filter(OF_KEYS)
"""By which the lists show what the overview counts."""
