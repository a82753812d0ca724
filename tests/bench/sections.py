"""What the bench measures, section by section. Every section judges the work as well as the time: a role that is not let
in afterwards, or a cluster that was not looked at, ends the run."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import quote

from local import SYSTEM_AUTHORITIES, LocalAws, batch, created, delay_ms, eks_connection, function
from table import Results

HERE = Path(__file__).parent
DELAY_MS = 20
PAIRS = 5
EKS_AND_IAM = ("ListClusters", "DescribeAccessEntry", "ListAccessEntries", "DescribeCluster", "GetRole", "ListRoles")


@dataclass
class Stand:
    """The programs under test."""

    bootstrap: Path
    local_aws: Path
    floor: Path

    def guard(self) -> list[str]:
        return [str(self.bootstrap)]

    def empty(self) -> list[str]:
        return [str(self.floor)]

    def boto3(self, mode: str) -> list[str]:
        return [sys.executable, str(HERE / "boto3_handler.py"), mode]


def answered(answer: dict) -> dict:
    if answer is None or answer["isError"]:
        raise RuntimeError(f"the function failed: {answer and answer['response']}")
    return answer["response"]


def cold_start(stand: Stand, results: Results) -> None:
    """From `exec` to the first poll, and to the first answer, over HTTP and over HTTPS."""
    title = f"Cold start: 30 clusters in 3 Regions, {DELAY_MS} ms per AWS call (ms; median)"
    columns = {
        "function": "", "to poll": ".1f", "to answer": ".1f", "CPU": ".1f", "chain": "d", "calls": "d",
        "handshakes": "d", "peak MB": ".1f", "/ ideal": ".2f",
    }  # fmt: skip
    table = results.table("cold", title, columns)
    subjects = {
        "empty lambda_runtime": (stand.empty(), 15),
        "access-entry-guard": (stand.guard(), 15),
        "boto3, one after another": (stand.boto3("serial"), 3),
        "boto3, thread pool": (stand.boto3("threads"), 3),
    }
    medians = {}
    with LocalAws(stand.local_aws) as local, authorities(local) as trusted:
        for scheme, bundle in (("HTTP", None), ("HTTPS", trusted)):
            # In turn, so that what else the machine does meets all of them alike.
            runs_of = {name: [] for name in subjects}
            for turn in range(max(times for _, times in subjects.values())):
                for name, (command, times) in subjects.items():
                    if turn < times:
                        runs_of[name].append(one_cold_start(command, local, bundle))
            for name, runs in runs_of.items():
                middle = {figure: median(run[figure] for run in runs) for figure in runs[0]}
                medians[name, scheme] = middle
                floor = medians["empty lambda_runtime", scheme]["to poll"]
                middle["/ ideal"] = middle["to answer"] / (floor + middle["chain"] * middle["delay"]) if middle["chain"] else None
                counts = {figure: int(middle[figure]) for figure in ("chain", "calls", "handshakes")}
                table.row(**{"function": f"{name}, {scheme}", **middle, **counts})
    for scheme in ("HTTP", "HTTPS"):
        guard, floor = medians["access-entry-guard", scheme], medians["empty lambda_runtime", scheme]
        pool = medians["boto3, thread pool", scheme]
        results.target(f"{scheme}: to first poll, times the empty function's", guard["to poll"] / floor["to poll"], 2.2)
        results.target(f"{scheme}: to first answer, times (floor + chain x delay)", guard["/ ideal"], 1.2)
        results.target(f"{scheme}: CPU of boto3's cold start, times ours", pool["CPU"] / guard["CPU"], 10, at_least=True)
        results.target(f"{scheme}: memory of boto3, times ours", pool["peak MB"] / guard["peak MB"], 3, at_least=True)


def one_cold_start(command: list[str], local: LocalAws, bundle: Path | None) -> dict:
    local.do("world", regions=3, clusters=30, entries=2, delayMs=DELAY_MS)
    role = local.do("recreate", role="node")
    delay = delay_ms(local)
    before = local.do("connections")["handshakes"]
    with function(command, local, bundle) as running:
        polled = local.do("await-poll", sinceNs=running.started_ns)
        answer = local.do("invoke", alias="events", payload=created(role))
        response = answered(answer)
        if "floor" not in command[0] and response["clusters"] != 30:
            raise RuntimeError(f"not all clusters were looked at: {response}")
        calls = local.do("calls")
        return {
            "to poll": (polled - running.started_ns) / 1e6,
            # As if the invocation had been there at the first poll, as it is on Lambda.
            "to answer": (polled - running.started_ns + answer["tookNs"]) / 1e6,
            "CPU": running.cpu_seconds() * 1e3,
            "chain": calls["chain"],
            "calls": calls["calls"],
            "handshakes": local.do("connections")["handshakes"] - before,
            "peak MB": running.peak_mb(),
            "delay": delay,
        }


class authorities:
    """A file with the machine's certificate authorities, as Lambda has them, and the one of `local-aws`."""

    def __init__(self, local: LocalAws):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".pem")
        self.file.write((SYSTEM_AUTHORITIES.read_text() if SYSTEM_AUTHORITIES.exists() else "") + local.authority)
        self.file.flush()

    def __enter__(self) -> Path:
        return Path(self.file.name)

    def __exit__(self, *_):
        self.file.close()


def by_name(stand: Stand, results: Results) -> None:
    """Under AWS's own host names, one per service and Region: how many handshakes a cold start costs."""
    private = ["unshare", "--map-root-user", "--mount", "--net"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        print("\nHandshakes by host name: left out, this machine allows no network namespace")
        return
    program = [sys.executable, str(HERE / "by_name.py"), str(stand.local_aws), str(stand.bootstrap)]
    done = subprocess.run([*private, *program], capture_output=True, text=True, check=True)
    columns = {"Regions": "d", "clusters": "d", "hosts": "d", "handshakes": "d", "to answer": ".1f", "CPU": ".1f", "warm CPU": ".1f"}
    table = results.table("names", f"HTTPS under AWS's host names, {DELAY_MS} ms per AWS call (ms)", columns)
    for line in done.stdout.splitlines():
        table.row(**json.loads(line))


def warm(stand: Stand, results: Results) -> None:
    """Invocations of a process that is warm already, for worlds of all sizes."""
    title = f"Warm invocations, {DELAY_MS} ms per AWS call (ms; median of 9, of 5 over 1,000 clusters, repairs once)"
    columns = {
        "function": "", "clusters": "d", "Regions": "d", "matches": "d", "wall": ".0f", "chain": "d",
        "/ chain": ".2f", "CPU": ".1f", "calls": "d", "peak MB": ".1f",
    }  # fmt: skip
    table = results.table("warm", title, columns)
    sizes = [(1, 1), (100, 1), (100, 10), (100, 20), (1000, 1), (1000, 10), (1000, 20)]
    worst, compared = 0.0, {}
    with LocalAws(stand.local_aws) as local:
        for clusters, regions in sizes:
            for matches in (0, 1) if clusters < 1000 else (0, 1, 10):
                figures = one_warm(stand.guard(), local, clusters, regions, matches)
                worst = max(worst, figures["/ chain"])
                compared["guard", clusters, regions, matches] = figures
                table.row(function="access-entry-guard", **figures)
        for mode in ("serial", "threads"):
            for clusters, regions, matches in ((100, 10, 0), (100, 10, 1), (1000, 10, 0))[: 2 if mode == "serial" else 3]:
                figures = one_warm(stand.boto3(mode), local, clusters, regions, matches)
                compared[mode, clusters, regions, matches] = figures
                table.row(function=f"boto3, {mode}", **figures)
    for matches, what in enumerate(("no match", "one repair")):
        by_operation = compared["guard", 1, 1, matches]["byOperation"].items()
        print(f"  1 cluster, {what}: " + ", ".join(f"{operation} {times}" for operation, times in by_operation))
    results.target("wall of warm invocations, times chain x delay, the worst", worst, 1.2)
    for clusters in (100, 1000):
        of = f"{clusters} clusters in 10 Regions"
        guard, boto3 = compared["guard", clusters, 10, 0], compared["threads", clusters, 10, 0]
        results.target(f"CPU of boto3, times ours, {of}, median of {PAIRS} pairs", survey_cpu(stand, clusters), 10, at_least=True)
        results.target(f"memory of boto3, times ours, {of}", boto3["peak MB"] / guard["peak MB"], 3, at_least=True)


def survey_cpu(stand: Stand, clusters: int) -> float:
    """How many times our CPU time boto3 takes for a warm survey in 10 Regions: the median of pairs, measured in turn. A
    survey is a few short bursts: its CPU time depends on what else the machine does, and that changes by the second."""
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(warmed_up(stand, command, clusters)) for command in (stand.guard(), stand.boto3("threads"))]
        pairs = [[one_survey(*side, clusters) for side in sides] for _ in range(PAIRS)]
    ratios = [boto3 / guard for guard, boto3 in pairs]
    print("  CPU ms, ours and boto3's: " + ", ".join(f"{guard * 1e3:.1f} {boto3 * 1e3:.0f}" for guard, boto3 in pairs))
    return median(ratios)


@contextlib.contextmanager
def warmed_up(stand: Stand, command: list[str], clusters: int):
    """A function and its AWS, with an invocation behind them over a role that no cluster knows."""
    with LocalAws(stand.local_aws) as local:
        local.do("world", regions=10, clusters=clusters, entries=3, delayMs=DELAY_MS)
        with function(command, local, HOLD="none") as running:
            answered(local.do("invoke", alias="events", payload=created(local.do("recreate", role="stranger"))))
            yield local, running


def one_survey(local: LocalAws, running, clusters: int) -> float:
    """The CPU seconds of an invocation over a role that no cluster knows."""
    event = created(local.do("recreate", role="stranger"))
    cpu = running.cpu_seconds()
    if answered(local.do("invoke", alias="events", payload=event))["clusters"] != clusters:
        raise RuntimeError("not all clusters were looked at")
    return running.cpu_seconds() - cpu


def one_warm(command: list[str], local: LocalAws, clusters: int, regions: int, matches: int) -> dict:
    size = {"clusters": clusters, "regions": regions, "entries": 3, "matches": matches}
    local.do("world", **size, delayMs=DELAY_MS)
    delay = delay_ms(local)
    with function(command, local, HOLD="none") as running:
        # The first invocation warms up, over a role that no cluster knows.
        answered(local.do("invoke", alias="events", payload=created(local.do("recreate", role="stranger"))))
        runs = []
        for _ in range(1 if matches else 9 if clusters <= 100 else 5):
            role = local.do("recreate", role="node")
            local.do("calls")
            cpu = running.cpu_seconds()
            answer = local.do("invoke", alias="events", payload=created(role))
            cpu = running.cpu_seconds() - cpu
            response = answered(answer)
            calls = local.do("calls")
            if response["clusters"] != clusters or local.do("admitted", role="node") != matches:
                raise RuntimeError(f"the work was not done: {response}")
            wall = answer["tookNs"] / 1e6
            ideal = calls["chain"] * delay
            runs.append({"wall": wall, "/ chain": wall / ideal, "CPU": cpu * 1e3, **calls})
        middle = sorted(runs, key=lambda run: run["wall"])[len(runs) // 2] | {"CPU": median(run["CPU"] for run in runs)}
        return {"clusters": clusters, "regions": regions, "Regions": regions, "matches": matches, **middle, "peak MB": running.peak_mb()}


def batches(stand: Stand, results: Results) -> None:
    """What a role costs, alone and in a batch, where no cluster knows any."""
    columns = {"roles in a batch": "d", "EKS and IAM calls": "d", "all calls": "d", "CPU per role": ".2f", "wall": ".0f", "peak MB": ".1f"}
    table = results.table("batch", f"Batches: 100 clusters in 10 Regions, none knows the roles, {DELAY_MS} ms per AWS call (ms)", columns)
    calls_of = {}
    with LocalAws(stand.local_aws) as local:
        local.do("world", regions=10, clusters=100, entries=3, delayMs=DELAY_MS)
        with function(stand.guard(), local) as running:
            strangers = [
                {"arn": f"arn:aws:iam::111122223333:role/new-{n}", "roleId": f"AROA{n:017}", "roleName": f"new-{n}"}
                for n in range(100)
            ]
            answered(local.do("invoke", alias="events", payload=created(strangers[0])))
            local.do("calls")
            for size in (1, 10, 100):
                cpu = running.cpu_seconds()
                events = [created(role) for role in strangers[:size]]
                answer = local.do("invoke", alias="events", payload=batch(events) if size > 1 else created(strangers[0]))
                cpu = running.cpu_seconds() - cpu
                if answered(answer)["clusters"] != 100:
                    raise RuntimeError("not all clusters were looked at")
                calls = local.do("calls")
                calls_of[size] = sum(calls["byOperation"].get(operation, 0) for operation in EKS_AND_IAM)
                table.row(**{
                    "roles in a batch": size, "EKS and IAM calls": calls_of[size], "all calls": calls["calls"],
                    "CPU per role": cpu * 1e3 / size, "wall": answer["tookNs"] / 1e6, "peak MB": running.peak_mb(),
                })  # fmt: skip
    results.target("EKS and IAM calls for 100 roles, times those for one", calls_of[100] / calls_of[1], 1.1)


def sweep(stand: Stand, results: Results) -> None:
    """A sweep of 1,000 clusters with 100 entries each: the first, which has to look at every entry, and the next."""
    delay = 5
    columns = {"sweep": "", "seconds": ".1f", "CPU s": ".1f", "calls": "d", "entries": "d", "not reached": "d", "peak MB": ".1f"}
    table = results.table("sweep", f"Sweeps: 1,000 clusters x 100 entries in 10 Regions, {delay} ms per AWS call", columns)
    with LocalAws(stand.local_aws) as local:
        local.do("world", regions=10, clusters=1000, entries=100, delayMs=delay)
        with function(stand.guard(), local) as running:
            for name in ("the first", "the next"):
                cpu = running.cpu_seconds()
                answer = local.do("invoke", alias="events", payload={"command": "sweep"})
                response = answered(answer)
                calls = local.do("calls")
                table.row(**{
                    "sweep": name, "seconds": answer["tookNs"] / 1e9, "CPU s": running.cpu_seconds() - cpu,
                    "calls": calls["calls"], "entries": response["entriesExamined"],
                    "not reached": response["entriesNotReached"], "peak MB": running.peak_mb(),
                })  # fmt: skip
            results.target("peak memory of the sweeps, MB", running.peak_mb(), 64)


def limits(stand: Stand, results: Results) -> None:
    """Under a limit like EKS's: how much of what it allows is used, and how much is asked for in vain."""
    columns = {"event over": "", "per second": "d", "burst": "d", "seconds": ".1f", "ideal": ".1f", "goodput": ".2f", "refused": "d", "served": "d"}
    table = results.table("limits", "Under throttling limits, one Region (20 ms per AWS call)", columns)
    for clusters, rate, burst in ((200, 20, 20), (200, 10, 10), (400, 50, 50)):
        with LocalAws(stand.local_aws) as local:
            local.do("world", regions=1, clusters=clusters, entries=2, delayMs=DELAY_MS)
            local.do("limit", perSecond=rate, burst=burst)
            with function(stand.guard(), local) as running:
                role = local.do("recreate", role="node")
                answer = local.do("invoke", alias="events", payload=created(role), timeoutSeconds=300)
                response = answered(answer)
                calls = local.do("calls")
                served = sum(calls["byOperation"].get(operation, 0) for operation in ("ListClusters", "DescribeAccessEntry")) - calls["notAnswered"]
                seconds, ideal = answer["tookNs"] / 1e9, (served - burst) / rate
                if response["clusters"] != clusters or response["blindSpots"]:
                    raise RuntimeError(f"not everything was looked at: {response}")
                table.row(**{
                    "event over": f"{clusters} clusters", "per second": rate, "burst": burst, "seconds": seconds, "ideal": ideal,
                    "goodput": ideal / seconds, "refused": calls["notAnswered"], "served": served,
                })  # fmt: skip
                results.target(f"goodput at {rate}/s, part of what the limit allows", ideal / seconds, 0.9, at_least=True)
                results.target(f"refused at {rate}/s, part of what was served", calls["notAnswered"] / served, 0.5)


def shared(stand: Stand, results: Results) -> None:
    """Twelve stale entries in one Region while EKS refuses a share of all requests by chance, as it does while others use
    up its buckets."""
    clusters, seeds = 12, range(1, 6)
    columns = {"function": "", "refused": ".0%", "seconds": ".1f", "worst": ".1f", "times unhindered": ".1f"}
    table = results.table("shared", f"{clusters} repairs in one Region, a share of all EKS requests refused, {DELAY_MS} ms per AWS call", columns)
    subjects = {"access-entry-guard": stand.guard(), "boto3, thread pool": stand.boto3("threads")}
    unhindered = {}
    for share in (0, 0.05, 0.25, 0.5):
        medians = {}
        for name, command in subjects.items():
            runs = [repairs(stand, command, clusters, share, seed) for seed in (seeds if share else (1, 2, 3))]
            medians[name] = median(runs)
            unhindered.setdefault(name, medians[name])
            table.row(**{
                "function": name, "refused": share, "seconds": medians[name], "worst": max(runs),
                "times unhindered": medians[name] / unhindered[name],
            })  # fmt: skip
        guard, boto3 = (medians[name] for name in subjects)
        # What the function does more than the handler costs what it costs without refusals.
        more = max(0, unhindered["access-entry-guard"] - unhindered["boto3, thread pool"])
        if share:
            results.target(f"{clusters} repairs, {share:.0%} refused, times boto3 and the extra calls", guard / (boto3 + more), 1)


def repairs(stand: Stand, command: list[str], clusters: int, share: float, seed: int) -> float:
    """The seconds of an invocation that repairs the entries of all clusters."""
    with LocalAws(stand.local_aws) as local:
        local.do("world", regions=1, clusters=clusters, entries=1, matches=clusters, delayMs=DELAY_MS)
        with function(command, local, HOLD="none") as running:
            # The first invocation warms up, over a role that no cluster knows.
            answered(local.do("invoke", alias="events", payload=created(local.do("recreate", role="stranger"))))
            role = local.do("recreate", role="node")
            local.do("refuse", share=share, seed=seed)
            answer = local.do("invoke", alias="events", payload=created(role), timeoutSeconds=600)
            answered(answer)
            if local.do("admitted", role="node") != clusters:
                raise RuntimeError("not everything was repaired")
            return answer["tookNs"] / 1e9


#: The deadline of an invocation over a Region that never answers, in seconds.
GIVEN_UP = 60


def hanging(stand: Stand, results: Results) -> None:
    """When the entries of the other Regions are good again while EKS in one Region never answers."""
    clusters, regions = 12, 3
    elsewhere = clusters - clusters // regions
    columns = {"function": "", "hanging": "d", "repaired": "d", "seconds": ".1f"}
    title = f"{clusters} repairs in {regions} Regions, {elsewhere} of them outside of the Region that never answers, {DELAY_MS} ms per AWS call; {GIVEN_UP} s at most"
    table = results.table("hanging", title, columns)
    seconds = {}
    for name, command in {"access-entry-guard": stand.guard(), "boto3, thread pool": stand.boto3("threads")}.items():
        for is_hanging in (False, True):
            times = repaired_elsewhere(stand, command, clusters, regions, is_hanging)
            seconds[name, is_hanging] = max(times) if len(times) == elsewhere else float("inf")
            table.row(function=name, hanging=int(is_hanging), repaired=len(times), seconds=max(times, default=None))
    slower = seconds["access-entry-guard", True] / seconds["access-entry-guard", False]
    results.target("repairs elsewhere while a Region never answers, times those without", slower, 1.5)


def repaired_elsewhere(stand: Stand, command: list[str], clusters: int, regions: int, is_hanging: bool) -> list[float]:
    """How many seconds after the event each entry outside of the last Region was created again, those that were."""
    with LocalAws(stand.local_aws) as local:
        local.do("world", regions=regions, clusters=clusters, entries=1, matches=clusters, delayMs=DELAY_MS)
        *others, last = local.do("regions")[:regions]
        with function(command, local, HOLD="none") as running:
            # The first invocation warms up, over a role that no cluster knows.
            answered(local.do("invoke", alias="events", payload=created(local.do("recreate", role="stranger"))))
            role = local.do("recreate", role="node")
            if is_hanging:
                local.do("hang", region=last)
            began = time.time()
            local.do("invoke", alias="events", payload=created(role), timeoutSeconds=GIVEN_UP)
            made = [at for region in others for at in made_at(local, region, role["arn"])]
            return [at - began for at in made if at > began]


def made_at(local: LocalAws, region: str, principal: str) -> list[float]:
    """When the principal's entry was created in each cluster of a Region, in seconds of Unix time."""
    entry = f"access-entries/{quote(principal, safe='')}"
    with eks_connection(local, region) as get:
        names = json.loads(get("/clusters"))["clusters"]
        return [json.loads(get(f"/clusters/{name}/{entry}"))["accessEntry"]["createdAt"] for name in names]
