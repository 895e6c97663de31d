"""Charts: drawn by pygal as SVG, and coloured by the style sheet, so that they follow the page into the dark."""

import functools
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any
from xml.etree.ElementTree import Element

from markupsafe import Markup

from idp.console.language import say

_DROPPED = ("style", "script")
_MOST_LINES = 5
_COLOUR = re.compile(r"\bcolor-(\d)\b")

USES: Sequence[str] = ("done-0", "done-1", "done-2", "done-3")
REFUSALS: Sequence[str] = ("refused-0", "refused-1", "refused-2")
"""Colours of a chart's parts, as `design` names them: red and orange mean refused, wherever they stand."""

MONTH = 30
"""Days of a chart of days."""


@dataclass(frozen=True)
class Chart:
    """A chart as a page shows it: drawn, and as a table for those who cannot see it."""

    labels: Sequence[str]
    series: Mapping[str, Sequence[int]]
    name: str
    """What it shows."""
    colours: Sequence[str] = USES

    @property
    def is_empty(self) -> bool:
        """Whether it shows nothing."""
        return not any(any(values) for values in self.series.values())

    @property
    def drawing(self) -> Markup:
        """The drawing."""
        series = {say(title): values for title, values in self.series.items()}
        return stacked_bars(self.labels, series, say(self.name), self.colours)


def last_days(now: datetime) -> list[datetime]:
    """Return the beginnings of the days that a chart of days shows (UTC), today's last."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=number) for number in range(MONTH - 1, -1, -1)]


def day_label(day: datetime) -> str:
    """Return what stands under the bar of a day."""
    return f"{day:%m-%d}"


def stacked_bars(labels: Sequence[str], series: Mapping[str, Sequence[int]], name: str, colours: Sequence[str]) -> Markup:
    """Return a chart of bars that stand on each other.

    :param labels: what stands under the bars.
    :param series: the heights, by what the parts are called.
    :param name: what the chart shows, for who hears the page.
    :param colours: of the parts, in their order.
    """
    every = max(1, len(labels) // 6)
    pygal, etree = _library()
    chart: Any = pygal.StackedBar(
        width=520,
        height=220,
        js=[],
        disable_xml_declaration=True,
        show_legend=False,
        no_prefix=True,
        show_minor_x_labels=False,
        x_labels_major=[*labels[::every]],
        margin=4,
        truncate_label=-1,
        print_values=False,
        no_data_text=say("Nothing yet"),
    )
    chart.x_labels = labels
    highest = max((sum(values) for values in zip(*series.values(), strict=True)), default=0)
    chart.y_labels = _ticks(highest)
    for title, values in series.items():
        chart.add(title, values)
    drawing: Element = chart.render_tree()
    _plain(drawing)
    for element in drawing.iter():
        if "color-" in element.get("class", ""):
            element.set("class", _COLOUR.sub(lambda found: f"color-{colours[int(found[1])]}", element.get("class", "")))
    drawing.attrib.pop("id", None)
    drawing.set("role", "img")
    drawing.set("aria-label", name)
    return Markup(etree.tostring(drawing, encoding="unicode", method="xml"))  # noqa: S704 (pygal escapes what it is given)


@functools.cache
def _library() -> tuple[Any, Any]:
    """Return pygal, and what it builds its trees with: lxml, where something else has brought that.

    Loaded for the first chart: few workers ever draw one, and it takes two megabytes and a fiftieth of a second.
    """
    import pygal  # noqa: PLC0415 (see above)
    from pygal.etree import etree  # noqa: PLC0415 (the same)

    # pygal puts a finder of its own into every import of the process, for plugins that are not used here, and of a kind that
    # Python warns of (PEP 451)
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
    return pygal, etree


def _ticks(highest: int) -> list[int]:
    """Return the whole numbers that lines are drawn at, up to the highest bar or a little more."""
    step, factors = 1, cycle((2, 2.5, 2))
    while highest > step * _MOST_LINES:
        step = int(step * next(factors))
    return list(range(0, max(highest, 1) + step, step))


def _plain(element: Element) -> None:
    """Take out what a strict policy forbids and a page has no use for; keep the value of each bar as its tooltip."""
    element.attrib.pop("style", None)
    element.attrib.pop("id", None)
    if "tooltip-overlay" in element.get("class", "") or "text-overlay" in element.get("class", ""):
        element.clear()
        return
    told = ""
    for child in list(element):
        if _is_nothing(child):
            element.remove(child)
            continue
        kind = str(child.tag).rpartition("}")[2] if isinstance(child.tag, str) else "comment"
        if kind == "desc" and child.get("class") in {"value", "x_label"} and child.text:
            told = f"{told}: {child.text}" if told else child.text
        if kind in {*_DROPPED, "desc", "comment"}:
            element.remove(child)
        else:
            _plain(child)
    if told:
        _library()[1].SubElement(element, "title").text = told


def _is_nothing(element: Element) -> bool:
    """Tell whether an element is a bar of no height, of which there are many on a quiet day."""
    return element.get("class") == "bar" and any(
        child.get("class") == "value" and (child.text or "").strip() in {"", "0"} for child in element
    )
