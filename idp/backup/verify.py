"""Whether a restored database is what was backed up, and can be used: by its contents, its master key and its audit trails."""

from dataclasses import dataclass, field

from idp import keysets, trail, vault
from idp.backup.manifest import Manifest
from idp.backup.mark import differences, read_mark
from idp.backup.progress import Act, Step, Watch
from idp.db import db, storage_errors
from idp.opening import close_app, open_app
from idp.settings import Settings
from idp.trail import Checkpoint, Report

_MOST_NAMED = 5


@dataclass
class Verified:
    """What was found."""

    problems: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    """By table."""
    opened: int = 0
    """Sealed values that the master key opens."""
    trails: list[Report] = field(default_factory=list)


def verify_database(settings: Settings, manifest: Manifest, watch: Watch) -> Verified:
    """Compare a restored database with the manifest, open all that is sealed in it, and follow its audit trails.

    :param settings: of the restored database, with a data folder that remembers nothing of its trails.
    """
    found = Verified()
    app = open_app(settings)
    try:
        with app.app_context(), storage_errors():
            with db.engine.execution_options(read_only=True).connect() as connection:
                mark = read_mark(connection, watch)
            found.rows = mark.rows
            found.problems += differences(manifest.mark, mark)
            db.session.connection(execution_options={"read_only": True})
            if not trail.is_guarded():
                found.problems.append("The triggers that protect the audit trail from changes are missing.")
            _open_values(found, watch)
            _follow_trails(found, manifest, watch)
            db.session.rollback()
    finally:
        close_app(app)
    return found


def _open_values(found: Verified, watch: Watch) -> None:
    for state in vault.try_all():
        watch(Step(Act.OPEN, state.done, state.total, "values"))
    found.opened = state.done - len(state.damaged)
    damaged = [*state.damaged, *(f"keyset {row.uid}" for _, row, is_damaged in keysets.check_keysets() if is_damaged)]
    if damaged:
        more = f"; and {len(damaged) - _MOST_NAMED} more" if len(damaged) > _MOST_NAMED else ""
        found.problems.append(f"The master key does not decrypt: {'; '.join(damaged[:_MOST_NAMED])}{more}.")


def _follow_trails(found: Verified, manifest: Manifest, watch: Watch) -> None:
    heads = [Checkpoint(head.realm, head.number, head.total, head.head) for head in manifest.mark.trails]
    names = sorted({*trail.trail_names(), *(head.realm for head in heads)})
    for number, name in enumerate(names, 1):
        report = trail.verify_trail(name, outside=heads, as_of=manifest.taken_at)
        found.trails.append(report)
        whose = name or "the server"
        found.problems += [f"Audit trail of {whose}: {problem.text}" for problem in report.problems[:_MOST_NAMED]]
        watch(Step(Act.FOLLOW, number, len(names), "trails"))
