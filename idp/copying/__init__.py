"""Moving to another database: everything that one holds is copied into another, of whichever kind, and compared."""

from idp.copying.belongings import belongings
from idp.copying.compare import Act, Compared, Step, Watch, count_rows, differences
from idp.copying.copy import Report, check_copy, compare_databases, copy_database, target_settings
from idp.copying.ends import End, Role
from idp.copying.errors import CopyError, InUseError, OtherContentError, UnfitError
from idp.copying.progress import describe
from idp.copying.rows import Sum, all_tables

__all__ = [
    "Act",
    "Compared",
    "CopyError",
    "End",
    "InUseError",
    "OtherContentError",
    "Report",
    "Role",
    "Step",
    "Sum",
    "UnfitError",
    "Watch",
    "all_tables",
    "belongings",
    "check_copy",
    "compare_databases",
    "copy_database",
    "count_rows",
    "describe",
    "differences",
    "target_settings",
]
