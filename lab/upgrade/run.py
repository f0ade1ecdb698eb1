#!/usr/bin/env python3
"""Replaces two replicas of one release by another under load, one after the other, and asks the lab's ledger.

    apt-get install haproxy postgresql
    lab/upgrade/run.py OLD NEW [--lab BINARY] [--seconds 60] [--scale 10] [--keep]

OLD and NEW are binaries of gauntlet. Starts a PostgreSQL of its own, two replicas behind HAProxy (which asks /readyz of
each, as an orchestrator does), and `gauntlet load run 4` with three retries, as docs/errors.md advises clients. A third
into the run the first replica is stopped with SIGTERM and started as NEW on the same ports, then the second. Prints what
happened when, and ends as the lab does: 0 means that nothing was lost and nothing was counted twice.
"""

import argparse
import json
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from processes import Postgres, free_port, free_ports, generate_catalogue, in_folder, wait, webhook


class Run:
    def __init__(self, processes):
        self.processes, self.folder, self.began = processes, processes.folder, time.time()
        self.ports = [free_ports() for _ in range(2)]
        self.proxy = {face: free_port() for face in ("http", "events")}
        self.receiver = free_port()
        self.database = Postgres(processes)

    def tell(self, text):
        print(f"{time.time() - self.began:6.1f} s  {text}", flush=True)

    def replica(self, at, binary):
        self.processes.serve(f"replica-{at}", binary, self.database.url, self.ports[at], "catalogue.json",
                             *webhook(self.receiver), "--drain-delay", "3s", "--drain", "10s")

    def balance(self):
        def backend(name, mode):
            servers = "\n".join(
                f"  server replica-{at} 127.0.0.1:{ports[name]} check port {ports['ops']} inter 500ms fall 2 rise 1"
                for at, ports in enumerate(self.ports))
            # As with most balancers, a call that broke on the way is the client's to repeat.
            return (f"listen {name}\n  mode {mode}\n  bind 127.0.0.1:{self.proxy[name]}\n  balance roundrobin\n"
                    f"  option httpchk GET /readyz\n  retries 0\n{servers}\n")
        (self.folder / "haproxy.cfg").write_text(
            "defaults\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n"
            + backend("http", "http") + backend("events", "tcp"))
        self.processes.start("haproxy", ["/usr/sbin/haproxy", "-f", "haproxy.cfg"])
        time.sleep(2)

    def schema(self):
        return self.database.sql("SELECT max(number) FROM schema_migration")

    def replace(self, at, binary):
        begun = time.time()
        code = self.processes.end(f"replica-{at}", signal.SIGTERM)
        self.tell(f"replica {at}: stopped with code {code} after {time.time() - begun:.1f} s")
        begun = time.time()
        self.replica(at, binary)
        self.tell(f"replica {at}: the new release is ready after {time.time() - begun:.1f} s, schema {self.schema()}")


def play(run, asked):
    generate_catalogue(asked.lab, run.folder / "catalogue.json")
    run.database.make()
    for at in (0, 1):
        run.replica(at, asked.old)
    run.tell(f"two replicas of the old release are ready, schema {run.schema()}")
    run.balance()
    out = asked.out or run.folder / "report"
    load = run.processes.start("lab", [
        asked.lab, "load", "run", "4", "--target", f"http://127.0.0.1:{run.proxy['http']}/challenge",
        "--events", f"http://127.0.0.1:{run.proxy['events']}", "--catalogue", "catalogue.json",
        *(part for at in (0, 1) for part in ("--ops", f"replica-{at}=http://127.0.0.1:{run.ports[at]['ops']}")),
        "--receiver", f"127.0.0.1:{run.receiver}", "--retries", "3", "--duration", f"{asked.seconds}s",
        "--scale", asked.scale, "--rate", asked.rate, "--ramp", "5s", "--out", out])
    wait("the load", 120, lambda: "running" in report(out).get("stage", "running") and (out / "report.json").exists())
    run.tell("the load runs")
    for at in (0, 1):
        time.sleep(asked.seconds / 4)
        run.replace(at, asked.new)
        if load.poll() is not None:
            sys.exit("the load ended before both replicas were replaced: --seconds is too short")
    code = load.wait()
    run.processes.running.pop("lab")
    run.tell(f"the lab ended with {code}")
    print((out / "summary.md").read_text())
    return code


def report(out):
    try:
        return json.loads((out / "report.json").read_text())
    except (OSError, ValueError):
        return {}


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("old", type=lambda path: pathlib.Path(path).resolve())
    about.add_argument("new", type=lambda path: pathlib.Path(path).resolve())
    about.add_argument("--lab", type=lambda path: pathlib.Path(path).resolve(), help="the lab's binary [default: NEW]")
    about.add_argument("--seconds", type=int, default=60)
    about.add_argument("--scale", default="10")
    about.add_argument("--rate", default="300", help="events a second")
    about.add_argument("--out", type=lambda path: pathlib.Path(path).resolve(), help="where the report is kept")
    about.add_argument("--keep", action="store_true", help="keep the folder with logs")
    asked = about.parse_args()
    asked.lab = asked.lab or asked.new
    with in_folder("upgrade", asked.keep) as processes:
        code = play(Run(processes), asked)
    sys.exit(code)


if __name__ == "__main__":
    main()
