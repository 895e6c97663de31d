"""Tables as text (RFC 4180)."""

import csv
import io
from collections.abc import Sequence


def csv_line(cells: Sequence[str]) -> str:
    """Return a line of a table. What begins like a formula would be one to a spreadsheet, and is quoted."""
    line = io.StringIO()
    csv.writer(line).writerow([f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell for cell in cells])
    return line.getvalue()
