"""Ask whether a known vulnerability concerns what a lock holds.

    python deploy/audit.py LOCK [OPTION ...]

Needs pip-audit, which OPTIONs are passed on to, and the database at osv.dev. Ends with status 0 if every package was looked up
and none is vulnerable, with 1 if one is, and with 2 if the database cannot be reached or a package was skipped: then nothing is
proved.
"""

import json
import subprocess
import sys

CLEAN, VULNERABLE, UNKNOWN = range(3)


def main(lock: str, *options: str) -> int:
    """Look the packages up, say what was found, and return the status to end with."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--vulnerability-service", "osv", *options]
    asked = subprocess.run(
        [*command, "--progress-spinner=off", "--format=json", "-r", lock], capture_output=True, text=True, check=False
    )
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = asked.stderr.strip().rpartition("\n")[2]
        print(f"Nothing was audited: the database of vulnerabilities cannot be reached. ({said})", file=sys.stderr)
        return UNKNOWN
    skipped = [each for each in packages if "skip_reason" in each]
    vulnerable = [each for each in packages if each.get("vulns")]
    for each in skipped:
        print(f"Not audited: {each['skip_reason']}", file=sys.stderr)
    for each in vulnerable:
        for found in each["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "none yet"
            print(f"{each['name']} {each['version']}: {found['id']} ({', '.join(found['aliases'])}), mended in: {mended}")
    if vulnerable:
        return VULNERABLE
    if skipped or not packages:
        return UNKNOWN
    print(f"No known vulnerability in {len(packages)} packages of {lock}.")
    return CLEAN


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
