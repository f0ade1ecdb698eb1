#!/usr/bin/env python3
"""Measures what an event and a call of a session cost in processor time, and holds the formula of docs/operations.md
against runs that mix them.

    apt-get install postgresql
    lab/sizing/run.py target/release/gauntlet [--seconds 30] [--out FILE]

Processor time comes from /proc, of the service and of all processes of PostgreSQL: it says what the work costs also when
the machine is busy, as latencies do not. Prints tables in Markdown.
"""

import argparse
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")
# name, events a second, calls a second (of sessions as in scenario 4, as arrivals)
ALONE = [("events", 500, 0), ("events", 2000, 0), ("events", 4000, 0), ("calls", 0, 50), ("calls", 0, 200), ("calls", 0, 500)]
MIXED = [("both", 1000, 50), ("both", 2000, 200)]

SCENARIO = """
name = "sizing"
title = "Events and calls at a steady rate"
duration = "{seconds}s"
[catalogue]
challenges = 10
goals = 50
[players]
count = 1000
prepare = "all"
{events}
{calls}
"""
EVENTS = """
[[arrivals]]
name = "events"
rate = {rate}
in_flight = 2000
mix = [
  {{ share = 8, steps = [{{ call = "stat", stats = ["enemy_kills", "login_count", "games_played", "headshots", "wins"], highest = 999 }}] }},
  {{ share = 2, steps = [{{ call = "login" }}] }},
]
"""
CALLS = """
[[arrivals]]
name = "calls"
rate = {rate}
in_flight = 500
mix = [
  {{ share = 3, steps = [{{ call = "initialize" }}] }},
  {{ share = 7, steps = [{{ call = "browse" }}] }},
]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu(pid):
    """Seconds of processor time of a process and of its children, those that ended included."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    own = sum(int(field) for field in fields[11:15]) / TICK
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return own + sum(cpu(int(child)) for child in file.read().split())


class Bench:
    def __init__(self, gauntlet, folder, seconds):
        self.gauntlet, self.folder, self.seconds, self.pg = gauntlet, folder, seconds, None
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.port = free_port()

    def database(self):
        user = "postgres" if os.getuid() == 0 else None

        def prepare():
            if user:
                os.setgid(pwd.getpwnam(user).pw_gid)
                os.setuid(pwd.getpwnam(user).pw_uid)
        data = self.folder / "pg"
        data.mkdir()
        os.chmod(self.folder, 0o755)
        if user:
            shutil.chown(data, user)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "preexec_fn": prepare, "cwd": self.folder}
        subprocess.run([self.bin / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], check=True, **quiet)
        self.pg = subprocess.Popen([self.bin / "postgres", "-D", data, "-p", str(self.port), "-k", "/tmp",
                                    "-c", "wal_compression=lz4", "-c", "max_wal_size=4GB"], **quiet)
        time.sleep(3)

    def run(self, store, events, calls):
        """Processor time of service and database, and what was done."""
        scenario = self.folder / "sizing.toml"
        scenario.write_text(SCENARIO.format(
            seconds=self.seconds, events=EVENTS.format(rate=events) if events else "",
            calls=CALLS.format(rate=calls) if calls else ""))
        ports = {face: free_port() for face in ("http", "grpc", "events", "ops")}
        catalogue = self.folder / "catalogue.json"
        catalogue.write_bytes(subprocess.run([self.gauntlet, "catalogue", "generate"], check=True,
                                             stdout=subprocess.PIPE).stdout)
        address = f"sqlite:{self.folder / f'{time.time()}.db'}"
        if store == "PostgreSQL":
            name = f"s{int(time.time() * 1000)}"
            subprocess.run([self.bin / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name], check=True)
            address = f"postgres://postgres@127.0.0.1:{self.port}/{name}?sslmode=disable"
        faces = [part for face, port in ports.items() for part in (f"--{face}", f"127.0.0.1:{port}")]
        with open(self.folder / "server.log", "ab") as log:
            server = subprocess.Popen([self.gauntlet, "serve", "--store", address, "--auth", "mock", "--player-rate", "0",
                                       "--catalogue", catalogue, *faces], stderr=log, stdin=subprocess.DEVNULL)
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{ports['ops']}/readyz", timeout=1)
                    break
                except OSError:
                    time.sleep(0.1)
            return self.load(server, ports, scenario, catalogue, store)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()

    def load(self, server, ports, scenario, catalogue, store):
        out = self.folder / "report"
        shutil.rmtree(out, ignore_errors=True)
        said = self.folder / "lab.log"
        with open(said, "wb") as log:
            lab = subprocess.Popen(
                [self.gauntlet, "load", "run", scenario, "--target", f"http://127.0.0.1:{ports['http']}/challenge",
                 "--events", f"http://127.0.0.1:{ports['events']}", "--catalogue", catalogue, "--out", out],
                stderr=log, stdout=log, stdin=subprocess.DEVNULL)
        # Players are prepared first; then it says how many seconds of the load are over.
        while not re.search(r"^\d+ of \d+ s:", said.read_text(), re.MULTILINE):
            if lab.poll() is not None:
                sys.exit(said.read_text()[-2000:])
            time.sleep(0.1)
        time.sleep(3)
        pids = [server.pid, self.pg.pid if store == "PostgreSQL" else None]
        first, begun = self.look(ports, pids), time.time()
        time.sleep(self.seconds - 6)
        last, took = self.look(ports, pids), time.time() - begun
        lab.wait()
        grown = [after - before for before, after in zip(first, last)]
        names = ("service", "database", "events", "calls", "batches")
        return {"seconds": took, "memory": last[5], **dict(zip(names, grown))}

    def look(self, ports, pids):
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['ops']}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        done = [line.rsplit(" ", 1) for line in lines if line.startswith("gauntlet_requests_total")]
        events = sum(float(value) for name, value in done if "accelbyte" in name or "gauntlet.events" in name)
        calls = sum(float(value) for name, value in done if "/v1/challenges" in name)
        one = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}
        return ([cpu(pid) if pid else 0.0 for pid in pids]
                + [events, calls, one["gauntlet_event_batch_operations_count"], one["process_resident_memory_bytes"]])


def solve(rows, wanted):
    """The factors of least squares, none of them below 0: rows x factors = wanted."""
    used = list(range(len(rows[0])))
    while True:
        matrix = [[sum(row[a] * row[b] for row in rows) for b in used] for a in used]
        right = [sum(row[a] * value for row, value in zip(rows, wanted)) for a in used]
        for at in range(len(used)):
            for other in range(len(used)):
                if other != at and matrix[at][at]:
                    factor = matrix[other][at] / matrix[at][at]
                    matrix[other] = [value - factor * top for value, top in zip(matrix[other], matrix[at])]
                    right[other] -= factor * right[at]
        found = [right[at] / matrix[at][at] if matrix[at][at] else 0 for at in range(len(used))]
        if min(found, default=0) >= 0:
            return [found[used.index(at)] if at in used else 0.0 for at in range(len(rows[0]))]
        used.pop(found.index(min(found)))


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("gauntlet", type=lambda path: pathlib.Path(path).resolve())
    about.add_argument("--seconds", type=int, default=30)
    about.add_argument("--out", type=pathlib.Path)
    asked = about.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(asked.gauntlet, pathlib.Path(tempfile.mkdtemp(prefix="gauntlet-sizing-")), asked.seconds)
    lines = ["| store | offered, a second | done: events, calls, batches | service, cores | database, cores | memory, MB |",
             "|---|---|---|---|---|---|"]
    costs = ["| store | part | batch (B), us | event (E), us | call (C), us |", "|---|---|---|---|---|"]
    checks = ["| store | offered, a second | service: measured, formula | database: measured, formula |", "|---|---|---|---|"]
    kinds = ("batches", "events", "calls")
    try:
        bench.database()
        for store in ("SQLite", "PostgreSQL"):
            seen = []
            for _, events, calls in ALONE + MIXED:
                run = bench.run(store, events, calls)
                rate = {name: run[name] / run["seconds"] for name in (*kinds, "service", "database")}
                seen.append(rate)
                offered = " and ".join(f"{rate} {kind}" for rate, kind in ((events, "events"), (calls, "calls")) if rate)
                lines.append(f"| {store} | {offered} | {rate['events']:.0f}, {rate['calls']:.0f}, {rate['batches']:.0f} "
                             f"| {rate['service']:.3f} | {rate['database']:.3f} | {run['memory'] / 1e6:.0f} |")
                print(lines[-1], file=sys.stderr, flush=True)
            factors = {}
            for part in ("service", "database"):
                alone = seen[:len(ALONE)]
                factors[part] = solve([[rate[kind] for kind in kinds] for rate in alone], [rate[part] for rate in alone])
                if any(factors[part]):
                    costs.append(f"| {store} | {part} | " + " | ".join(f"{1e6 * value:.0f}" for value in factors[part]) + " |")
            for (_, events, calls), rate in zip(MIXED, seen[len(ALONE):]):
                row = []
                for part in ("service", "database"):
                    wanted = sum(rate[kind] * factor for kind, factor in zip(kinds, factors[part]))
                    row.append(f"{rate[part]:.3f}, {wanted:.3f}")
                checks.append(f"| {store} | {events} events, {calls} calls | {row[0]} | {row[1]} |")
                print(checks[-1], file=sys.stderr, flush=True)
    finally:
        if bench.pg:
            bench.pg.send_signal(signal.SIGQUIT)
            bench.pg.wait()
        shutil.rmtree(bench.folder, ignore_errors=True)
    text = "\n".join([*lines, "", *costs, "", *checks])
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
