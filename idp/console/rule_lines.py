"""Lines of federation rules as people type them: one claim and its value a line."""

from idp.console.forms import LinesField
from idp.console.language import say
from idp.federation import LineSheet

RULE_HINT = "One claim=value a line. All have to hold. * stands for anything within one component: it crosses neither / nor :."


class LinesOfRule(LinesField):
    """Lines of a rule, each `claim=value`."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed."""
        super().process_formdata(valuelist)
        for line in self.data or []:
            if "=" not in line:
                raise ValueError(say("{line} is no claim and value with = between them.", line=repr(line[:80])))


def lines_typed(field: LinesOfRule) -> list[LineSheet]:
    """Return the lines that were typed into a field that was found valid."""
    pairs = [line.partition("=") for line in field.data or []]
    return [LineSheet(claim=claim.strip(), value=value.strip()) for claim, _, value in pairs]
