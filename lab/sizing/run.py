#!/usr/bin/env python3
"""Measures what an event and a call of a session cost in processor time, and holds the formula of docs/operations.md
against runs that mix them.

    apt-get install postgresql
    lab/sizing/run.py target/release/gauntlet [--repeat 3] [--seconds 30] [--out FILE]

Processor time comes from /proc, of the service and of all processes of PostgreSQL: it says what the work costs also when
the machine is busy, as latencies do not. Each size runs --repeat times, in rounds over all sizes; what is shown is the
median, and the lowest and the highest behind it. Prints tables in Markdown.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from processes import Postgres, free_ports, generate_catalogue, get, in_folder, wait

TICK = os.sysconf("SC_CLK_TCK")
# Events a second, calls a second (of sessions as in scenario 4, as arrivals). The formula is fitted to those alone.
ALONE = [(500, 0), (2000, 0), (4000, 0), (0, 50), (0, 200), (0, 500)]
MIXED = [(1000, 50), (2000, 200)]
KINDS = ("batches", "events", "calls")
PARTS = ("service", "database")

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


def cpu(pid):
    """Seconds of processor time of a process and of its children, those that ended included."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    own = sum(int(field) for field in fields[11:15]) / TICK
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return own + sum(cpu(int(child)) for child in file.read().split())


class Bench:
    def __init__(self, processes, gauntlet, seconds):
        self.processes, self.folder, self.gauntlet, self.seconds = processes, processes.folder, gauntlet, seconds
        self.postgres = Postgres(processes, "wal_compression=lz4", "max_wal_size=4GB")
        self.catalogue, self.number = self.folder / "catalogue.json", 0

    def prepare(self):
        self.postgres.make()
        generate_catalogue(self.gauntlet, self.catalogue)

    def run(self, store, events, calls):
        """Processor time of service and database, and what was done, both a second."""
        scenario = self.folder / "sizing.toml"
        scenario.write_text(SCENARIO.format(
            seconds=self.seconds, events=EVENTS.format(rate=events) if events else "",
            calls=CALLS.format(rate=calls) if calls else ""))
        self.number += 1
        address = f"sqlite:{self.folder / f'{self.number}.db'}"
        if store == "PostgreSQL":
            self.postgres.sql(f"CREATE DATABASE s{self.number}")
            address = self.postgres.address(f"s{self.number}")
        ports = free_ports()
        server = self.processes.serve("server", self.gauntlet, address, ports, self.catalogue)
        database = self.processes.running["pg"] if store == "PostgreSQL" else None
        found = self.load(ports, scenario, [process and process.pid for process in (server, database)])
        self.processes.end("server", signal.SIGTERM)
        # What an earlier run has left to do must not be counted in the next.
        self.postgres.sql(f"DROP DATABASE IF EXISTS s{self.number}")
        self.postgres.sql("CHECKPOINT")
        return found

    def load(self, ports, scenario, pids):
        out, said = self.folder / "report", self.processes.log("lab")
        shutil.rmtree(out, ignore_errors=True)
        said.unlink(missing_ok=True)
        load = self.processes.start("lab", [
            self.gauntlet, "load", "run", scenario, "--target", f"http://127.0.0.1:{ports['http']}/challenge",
            "--events", f"http://127.0.0.1:{ports['events']}", "--catalogue", self.catalogue, "--out", out])

        def begun():
            """Players are prepared first; then it says how many seconds of the load are over."""
            if load.poll() is not None:
                sys.exit(said.read_text()[-2000:])
            return re.search(r"^\d+ of \d+ s:", said.read_text(), re.MULTILINE)
        wait("the load", 300, begun)
        time.sleep(3)
        first, start = look(ports, pids), time.time()
        time.sleep(self.seconds - 6)
        last, took = look(ports, pids), time.time() - start
        load.wait()
        self.processes.running.pop("lab")
        rates = {name: (last[name] - first[name]) / took for name in (*PARTS, *KINDS)}
        return {**rates, "memory": last["memory"] / 1e6}


def look(ports, pids):
    lines = get(ports["ops"], "/metrics").splitlines()
    found = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}
    done = {name: value for name, value in found.items() if name.startswith("gauntlet_requests_total")}
    return {
        **{part: cpu(pid) if pid else 0.0 for part, pid in zip(PARTS, pids)},
        "events": sum(value for name, value in done.items() if "accelbyte" in name or "gauntlet.events" in name),
        "calls": sum(value for name, value in done.items() if "/v1/challenges" in name),
        "batches": found["gauntlet_event_batch_operations_count"],
        "memory": found["process_resident_memory_bytes"],
    }


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


def middle(runs, name):
    return statistics.median(run[name] for run in runs)


def spread(runs, name, digits):
    """The median, and the lowest and the highest where they differ; - for nothing at all."""
    values = [run[name] for run in runs]
    low, median, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    if not max(values):
        return "-"
    return median if low == high else f"{median} ({low} to {high})"


def tables(seen):
    """What was measured, what each kind costs, and the formula beside what it was not fitted to."""
    lines = ["| store | offered, a second | done: events, calls | batches | service, cores | database, cores | memory, MB |",
             "|---|---|---|---|---|---|---|"]
    costs = ["| store | part | batch (B), us | event (E), us | call (C), us |", "|---|---|---|---|---|"]
    checks = ["| store | offered, a second | service: measured, formula | database: measured, formula |", "|---|---|---|---|"]
    for store, sizes in seen.items():
        for (events, calls), runs in sizes.items():
            offered = " and ".join(f"{rate} {kind}" for rate, kind in ((events, "events"), (calls, "calls")) if rate)
            done = ", ".join(f"{middle(runs, kind):.0f}" for kind in ("events", "calls"))
            lines.append(f"| {store} | {offered} | {done} | {spread(runs, 'batches', 0)} | {spread(runs, 'service', 3)} | {spread(runs, 'database', 3)} "
                         f"| {spread(runs, 'memory', 0)} |")
        factors = {}
        alone = [run for size in ALONE for run in sizes[size]]
        for part in PARTS:
            factors[part] = solve([[run[kind] for kind in KINDS] for run in alone], [run[part] for run in alone])
            if any(factors[part]):
                costs.append(f"| {store} | {part} | " + " | ".join(f"{1e6 * value:.0f}" for value in factors[part]) + " |")
        for events, calls in MIXED:
            runs, cells = sizes[events, calls], []
            for part in PARTS:
                # Of each run by what that run did.
                wanted = [{part: sum(run[kind] * factor for kind, factor in zip(KINDS, factors[part]))} for run in runs]
                cells.append(f"{spread(runs, part, 3)}, {spread(wanted, part, 3)}" if any(factors[part]) else "-")
            checks.append(f"| {store} | {events} events, {calls} calls | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, "", *costs, "", *checks])


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("gauntlet", type=lambda path: pathlib.Path(path).resolve())
    about.add_argument("--repeat", type=int, default=1, help="how often each size runs")
    about.add_argument("--seconds", type=int, default=30, help="of each run; all but 6 of them are measured")
    about.add_argument("--out", type=pathlib.Path, help="where the tables are written to, beside standard output")
    asked = about.parse_args()
    seen = {store: {size: [] for size in ALONE + MIXED} for store in ("SQLite", "PostgreSQL")}
    with in_folder("sizing") as processes:
        bench = Bench(processes, asked.gauntlet, asked.seconds)
        bench.prepare()
        for number in range(asked.repeat):
            for store, sizes in seen.items():
                for size, runs in sizes.items():
                    runs.append(bench.run(store, *size))
                    said = ", ".join(f"{name} {value:.3f}" for name, value in runs[-1].items())
                    print(f"round {number + 1}, {store}, {size}, load {os.getloadavg()[0]:.1f}: {said}",
                          file=sys.stderr, flush=True)
    text = tables(seen)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
