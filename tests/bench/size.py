"""The size budget: the release bootstrap under 8.5 MB, and the deployment package made of it under 4 MB.

A cold start reads the whole binary, and Lambda fetches the whole package.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

MB = 1_000_000
BINARY_LIMIT = 8_500_000
ZIP_LIMIT = 4 * MB


def zip_bytes(bootstrap: Path) -> int:
    """The size of a deployment package of it."""
    with tempfile.TemporaryFile() as package:
        with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.write(bootstrap, "bootstrap")
        return package.tell()


def main(bootstrap: Path) -> bool:
    sizes = [("bootstrap", bootstrap.stat().st_size, BINARY_LIMIT), ("zip", zip_bytes(bootstrap), ZIP_LIMIT)]
    return all([within(*size) for size in sizes])


def within(name: str, size: int, limit: int) -> bool:
    verdict = "ok" if size < limit else "TOO LARGE"
    print(f"{name:<9} {size / MB:5.2f} MB, budget {limit / MB:g} MB: {verdict}")
    return size < limit


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1])) else 1)
