"""The bench: the packaged function, an empty one and two boto3 handlers, side by side in one run on loopback, with a delay
per AWS call.

    bench.py BOOTSTRAP FOLDER OUT [SECTION…]

FOLDER has the programs of `tests/local_aws`, built for release: `local-aws` and `floor`.

Prints a table for each section and writes all figures as JSON, and the growth as a plot, into the folder OUT. Times are
those of this machine; what is compared are ratios, and what is exact are counts. Targets are printed beside the figures; a
target that is missed is said so, and ends the run with status 1. README.md of this folder shows `growth.svg`, copied from a
run: its figures and the plot are of the same one.
"""

import json
import os
import platform
import sys
from pathlib import Path

import sections
from plot import growth
from size import MB, zip_bytes
from table import Results

SECTIONS = {
    "cold": sections.cold_start,
    "names": sections.by_name,
    "warm": sections.warm,
    "batch": sections.batches,
    "sweep": sections.sweep,
    "limits": sections.limits,
    "shared": sections.shared,
    "hanging": sections.hanging,
}


def main(bootstrap: str, programs: str, out: str, *chosen: str) -> int:
    programs = Path(programs).resolve()
    stand = sections.Stand(Path(bootstrap).resolve(), programs / "local-aws", programs / "floor")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(
        machine={"cores": os.cpu_count(), "kernel": platform.release(), "machine": platform.machine()},
        bootstrap_bytes=stand.bootstrap.stat().st_size,
        zip_bytes=zip_bytes(stand.bootstrap),
    )
    print(f"bootstrap {results.facts['bootstrap_bytes'] / MB:.2f} MB, zip {results.facts['zip_bytes'] / MB:.2f} MB")
    for name in chosen or SECTIONS:
        SECTIONS[name](stand, results)
    (folder / "bench.json").write_text(json.dumps(results.to_value(), indent=1) + "\n")
    print(f"\nwritten: {folder / 'bench.json'}")
    if "warm" in results.tables:
        (folder / "growth.svg").write_text(growth(results.tables["warm"]))
        print(f"written: {folder / 'growth.svg'}")
    print(results.verdict())
    return 1 if results.missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
