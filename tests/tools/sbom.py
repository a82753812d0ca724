"""The bill of materials of a deployment package: the crates that were compiled into it, as CycloneDX 1.5, and a checksum.

    python3 tests/tools/sbom.py target/package/access-entry-guard.zip

Writes `….zip.cdx.json` and `….zip.sha256` beside the zip. The crates are those that `cargo tree` resolves for the
instruction set of the executable in the zip, without development and build dependencies; versions and checksums are
those of Cargo.lock. (cargo-cyclonedx 0.5.9 also lists crates that no feature compiles in, such as jiff and ring.) The same
zip and lock file give the same bytes: there is no date in them, and the serial number is made of the zip's checksum.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import uuid
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

# e_machine of an ELF header, and the target that Cargo builds it for.
TARGETS = {0x3E: "x86_64-unknown-linux-gnu", 0xB7: "aarch64-unknown-linux-gnu"}

# Where CycloneDX's serial numbers of this project come from: a name space of its own.
SERIAL_NUMBERS = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/access-entry-guard")


class NoBill(Exception):
    """Why there is no bill of materials, in a sentence for the person who asked for one."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip", type=Path, help="the deployment package")
    package: Path = parser.parse_args().zip
    try:
        content = package.read_bytes()
        target = target_of(package)
        bill = bill_of_materials(content, target)
    except (NoBill, OSError, zipfile.BadZipFile, subprocess.CalledProcessError) as problem:
        print(f"No bill of materials: {getattr(problem, 'stderr', None) or problem}", file=sys.stderr)
        return 1
    written = package.with_name(package.name + ".cdx.json")
    written.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n")
    package.with_name(package.name + ".sha256").write_text(f"{sha256(content)}  {package.name}\n")
    print(f"{written}  {len(bill['components'])} crates, for {target}")
    return 0


def target_of(package: Path) -> str:
    """The target that the executable in the zip was built for."""
    with zipfile.ZipFile(package) as zipped:
        try:
            header = zipped.read("bootstrap")[:20]
        except KeyError:
            raise NoBill(f"{package} has no bootstrap in it") from None
    target = TARGETS.get(int.from_bytes(header[18:20], "little")) if header.startswith(b"\x7fELF") else None
    if target is None:
        raise NoBill(f"the bootstrap in {package} is no executable for Lambda")
    return target


def bill_of_materials(package: bytes, target: str) -> dict:
    crates = crates_of(target)
    described = describe(crates, target)
    checksums = checksums_of_lock()
    (root,) = [crate for crate in crates if crate not in checksums]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(SERIAL_NUMBERS, sha256(package))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": purl(root),
                "name": root[0],
                "version": root[1],
                "description": described[root]["description"],
                "licenses": licenses(described[root]),
                "hashes": [{"alg": "SHA-256", "content": sha256(package)}],
            },
            "properties": [{"name": "target", "value": target}],
        },
        "components": [
            {
                "type": "library",
                "bom-ref": purl(crate),
                "name": crate[0],
                "version": crate[1],
                "purl": purl(crate),
                "scope": "required",
                "licenses": licenses(described[crate]),
                "hashes": [{"alg": "SHA-256", "content": checksums[crate]}],
            }
            for crate in sorted(crates)
            if crate != root
        ],
        "dependencies": [
            {"ref": purl(crate), "dependsOn": sorted(purl(other) for other in described[crate]["needs"])}
            for crate in sorted(crates)
        ],
    }


def crates_of(target: str) -> set[tuple[str, str]]:
    """Name and version of every crate that is compiled in: `cargo metadata` alone would name those that only features
    of the tests bring along."""
    tree = cargo("tree", "--locked", "--edges", "normal", "--target", target, "--prefix", "none", "--format", "{p}")
    found = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    return {(name, version.removeprefix("v")) for name, version in found}


def describe(crates: set[tuple[str, str]], target: str) -> dict[tuple[str, str], dict]:
    """Licence, description and what each of the crates needs."""
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    packages = {package["id"]: package for package in metadata["packages"]}

    def crate(package_id: str) -> tuple[str, str]:
        return packages[package_id]["name"], packages[package_id]["version"]

    return {
        crate(node["id"]): {
            "license": packages[node["id"]]["license"],
            "description": packages[node["id"]]["description"],
            "needs": {
                crate(dependency["pkg"])
                for dependency in node["deps"]
                if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and crate(dependency["pkg"]) in crates
            },
        }
        for node in metadata["resolve"]["nodes"]
        if crate(node["id"]) in crates
    }


def checksums_of_lock() -> dict[tuple[str, str], str]:
    # Python has no TOML before 3.11; Cargo writes this file itself, always in this order.
    package = r'^name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"$'
    lock = (PROJECT / "Cargo.lock").read_text()
    return {(name, version): checksum for name, version, checksum in re.findall(package, lock, re.MULTILINE)}


def licenses(crate: dict) -> list[dict]:
    if not crate["license"]:
        return []
    # Old crates write a slash where SPDX says OR.
    return [{"expression": crate["license"].replace("/", " OR ")}]


def purl(crate: tuple[str, str]) -> str:
    name, version = crate
    return f"pkg:cargo/{name}@{version.replace('+', '%2B')}"


def cargo(*arguments: str) -> str:
    command = ["cargo", *arguments, "--manifest-path", str(PROJECT / "Cargo.toml")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
