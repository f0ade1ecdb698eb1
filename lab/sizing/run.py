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
ALONE = [("events", 500, 0), ("events", 2000, 0), ("events", 5000, 0), ("calls", 0, 50), ("calls", 0, 200), ("calls", 0, 500)]
MIXED = [("both", 500, 25), ("both", 1000, 100), ("both", 3000, 300)]

SCENARIO = """
name = "sizing"
title = "Events and calls at a steady rate"
duration = "{seconds}s"
[catalogue]
challenges = 10
goals = 50
[players]
count = 5000
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
        with open(self.folder / "lab.log", "ab") as log:
            lab = subprocess.Popen(
                [self.gauntlet, "load", "run", scenario, "--target", f"http://127.0.0.1:{ports['http']}/challenge",
                 "--events", f"http://127.0.0.1:{ports['events']}", "--catalogue", catalogue, "--out", out],
                stderr=log, stdout=log, stdin=subprocess.DEVNULL)
        # The players are prepared before the first report is written; ten seconds of the load are skipped.
        while not (out / "report.json").exists():
            if lab.poll() is not None:
                sys.exit((self.folder / "lab.log").read_text()[-2000:])
            time.sleep(0.2)
        pids = [server.pid, self.pg.pid if store == "PostgreSQL" else None]
        first, begun = self.look(ports, pids), time.time()
        time.sleep(max(5, self.seconds - 14))
        last, took = self.look(ports, pids), time.time() - begun
        lab.wait()
        grown = [after - before for before, after in zip(first, last)]
        return {"seconds": took, "service": grown[0], "database": grown[1], "events": grown[2], "calls": grown[3]}

    def look(self, ports, pids):
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['ops']}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        done = [line.rsplit(" ", 1) for line in lines if line.startswith("gauntlet_requests_total")]
        events = sum(float(value) for name, value in done if "accelbyte" in name or "gauntlet.events" in name)
        calls = sum(float(value) for name, value in done if "/v1/challenges" in name)
        return [cpu(pid) if pid else 0.0 for pid in pids] + [events, calls]


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("gauntlet", type=lambda path: pathlib.Path(path).resolve())
    about.add_argument("--seconds", type=int, default=30)
    about.add_argument("--out", type=pathlib.Path)
    asked = about.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(asked.gauntlet, pathlib.Path(tempfile.mkdtemp(prefix="gauntlet-sizing-")), asked.seconds)
    lines = ["| store | offered, a second | done | service: us each | database: us each |", "|---|---|---|---|---|"]
    checks = ["| store | offered, a second | service: measured, formula (cores) | database: measured, formula (cores) |",
              "|---|---|---|---|"]
    try:
        bench.database()
        for store in ("SQLite", "PostgreSQL"):
            cost = {"events": [], "calls": []}
            for kind, events, calls in ALONE:
                seen = bench.run(store, events, calls)
                each = [1e6 * seen[part] / max(seen[kind], 1) for part in ("service", "database")]
                cost[kind].append(each)
                lines.append(f"| {store} | {events or calls} {kind} | {seen[kind] / seen['seconds']:.0f} "
                             f"| {each[0]:.0f} | {each[1]:.0f} |")
                print(lines[-1], file=sys.stderr, flush=True)
            # The middle one of three.
            middle = {kind: [sorted(part)[1] for part in zip(*cost[kind])] for kind in cost}
            for _, events, calls in MIXED:
                seen = bench.run(store, events, calls)
                row = []
                for at, part in enumerate(("service", "database")):
                    wanted = (seen["events"] * middle["events"][at] + seen["calls"] * middle["calls"][at]) / 1e6
                    row.append(f"{seen[part] / seen['seconds']:.3f}, {wanted / seen['seconds']:.3f}")
                checks.append(f"| {store} | {events} events, {calls} calls | {row[0]} | {row[1]} |")
                print(checks[-1], file=sys.stderr, flush=True)
    finally:
        if bench.pg:
            bench.pg.send_signal(signal.SIGQUIT)
            bench.pg.wait()
        shutil.rmtree(bench.folder, ignore_errors=True)
    text = "\n".join(lines + [""] + checks)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
