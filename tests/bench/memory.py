"""Peak memory of the release bootstrap on one event over 500 clusters in 10 Regions, none of which knows the role.

    memory.py BOOTSTRAP LOCAL_AWS

What is exact is budgeted; how long it takes is not looked at.
"""

import sys
from pathlib import Path

from local import LocalAws, created, function

BUDGET_MB = 32
REGIONS, CLUSTERS = 10, 500


def main(bootstrap: str, program: str) -> int:
    with LocalAws(program) as local:
        local.do("world", regions=REGIONS, clusters=CLUSTERS, entries=2)
        role = local.do("recreate", role="stranger")
        with function([str(Path(bootstrap).resolve())], local) as running:
            answer = local.do("invoke", alias="events", payload=created(role))
            peak = running.peak_mb()
    if answer is None or answer["isError"] or answer["response"]["clusters"] != CLUSTERS:
        print(f"the bootstrap answered {answer}")
        return 1
    verdict = "ok" if peak < BUDGET_MB else "TOO LARGE"
    print(f"memory    {peak:.1f} MB at its peak, {CLUSTERS} clusters in {REGIONS} Regions, budget {BUDGET_MB} MB: {verdict}")
    return 0 if peak < BUDGET_MB else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
