"""Cold starts over HTTPS under AWS's own host names, so that connections and handshakes are those of AWS: one host per
service and Region. Runs in a network and mount namespace of its own, where those names lead to loopback.

    unshare --map-root-user --mount --net by_name.py LOCAL_AWS BOOTSTRAP

Prints a line of JSON per size.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from local import LocalAws, created, function
from sections import DELAY_MS, answered, authorities

SERVICES = ("eks", "dynamodb", "monitoring", "account")
RUNS = 5


def main(program: str, bootstrap: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with LocalAws(Path(program), "443") as local, authorities(local) as trusted, tempfile.NamedTemporaryFile("w") as hosts:
        regions = local.do("regions")
        names = ["localhost", "iam.amazonaws.com", *(f"{of}.{region}.amazonaws.com" for region in regions for of in SERVICES)]
        hosts.write("".join(f"127.0.0.1 {name}\n" for name in names))
        hosts.flush()
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
        for count, clusters in ((1, 10), (10, 20), (20, 20), (20, 200)):
            runs = [one(bootstrap, local, trusted, count, clusters) for _ in range(RUNS)]
            print(json.dumps({figure: median(run[figure] for run in runs) for figure in runs[0]}))


def one(bootstrap: str, local, trusted: Path, regions: int, clusters: int) -> dict:
    local.do("world", regions=regions, clusters=clusters, entries=2, delayMs=DELAY_MS)
    before = local.do("connections")["handshakes"]
    role = local.do("recreate", role="node")
    with function([bootstrap], local, trusted, AWS_ENDPOINT_URL="") as running:
        polled = local.do("await-poll", sinceNs=running.started_ns)
        answer = local.do("invoke", alias="events", payload=created(role))
        if answered(answer)["clusters"] != clusters:
            raise RuntimeError("not all clusters were looked at")
        cold = running.cpu_seconds()
        handshakes = local.do("connections")["handshakes"] - before
        answered(local.do("invoke", alias="events", payload=created(role)))
        return {
            "Regions": regions,
            "clusters": clusters,
            # EKS in each Region, and IAM, the ledger, the metrics, the list of Regions.
            "hosts": regions + 4,
            "handshakes": handshakes,
            "to answer": (polled - running.started_ns + answer["tookNs"]) / 1e6,
            "CPU": cold * 1e3,
            "warm CPU": (running.cpu_seconds() - cold) * 1e3,
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
