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

FACES = ("http", "grpc", "events", "ops")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(what, seconds, condition):
    until = time.time() + seconds
    while time.time() < until:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{what}: not within {seconds} s")


def ready(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
        return answer.status == 200


class Run:
    def __init__(self, folder):
        self.folder, self.running, self.began = folder, {}, time.time()
        self.ports = [{face: free_port() for face in FACES} for _ in range(2)]
        self.proxy = {face: free_port() for face in ("http", "events")}
        self.pg, self.receiver = free_port(), free_port()
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.url = f"postgres://postgres@127.0.0.1:{self.pg}/postgres?sslmode=disable"

    def tell(self, text):
        print(f"{time.time() - self.began:6.1f} s  {text}", flush=True)

    def start(self, name, command, user=None):
        def prepare():
            if user:
                os.setgid(pwd.getpwnam(user).pw_gid)
                os.setuid(pwd.getpwnam(user).pw_uid)
        log = open(self.folder / f"{name}.log", "ab")
        self.running[name] = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log,
                                              stderr=log, cwd=self.folder, preexec_fn=prepare)

    def database(self):
        user = "postgres" if os.getuid() == 0 else None
        (self.folder / "pg").mkdir()
        os.chmod(self.folder, 0o755)
        if user:
            shutil.chown(self.folder / "pg", user)
        self.start("initdb", [self.bin / "initdb", "-D", self.folder / "pg", "-A", "trust", "-U", "postgres"], user)
        self.running.pop("initdb").wait()
        self.start("pg", [self.bin / "postgres", "-D", self.folder / "pg", "-p", self.pg, "-k", "/tmp"], user)
        wait("PostgreSQL", 30, lambda: subprocess.run([self.bin / "pg_isready", "-qh", "127.0.0.1", "-p", str(self.pg)],
                                                      check=False).returncode == 0)

    def replica(self, at, binary):
        faces = [part for face in FACES for part in (f"--{face}", f"127.0.0.1:{self.ports[at][face]}")]
        self.start(f"replica-{at}", [
            binary, "serve", "--store", self.url, "--auth", "mock", "--allow-mock-with-real-rewards", "--player-rate", "0",
            "--catalogue", "catalogue.json", "--rewards", "webhook",
            "--webhook-url", f"http://127.0.0.1:{self.receiver}/grants",
            "--webhook-secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            "--drain-delay", "3s", "--drain", "10s", *faces])
        wait(f"replica {at}", 60, lambda: ready(self.ports[at]["ops"]))

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
        self.start("haproxy", ["/usr/sbin/haproxy", "-f", "haproxy.cfg"])
        time.sleep(2)

    def version(self, at):
        url = f"http://127.0.0.1:{self.ports[at]['ops']}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        starts = [line.split()[1] for line in lines if line.startswith("process_start_time_seconds ")]
        return starts[0]

    def schema(self):
        found = subprocess.run([self.bin / "psql", self.url, "-AtXc", "SELECT max(number) FROM schema_migration"],
                               stdout=subprocess.PIPE, text=True, check=True)
        return found.stdout.strip()

    def replace(self, at, binary):
        process = self.running.pop(f"replica-{at}")
        process.send_signal(signal.SIGTERM)
        begun = time.time()
        code = process.wait(60)
        self.tell(f"replica {at}: stopped with code {code} after {time.time() - begun:.1f} s")
        begun = time.time()
        self.replica(at, binary)
        self.tell(f"replica {at}: the new release is ready after {time.time() - begun:.1f} s, schema {self.schema()}")

    def stop(self):
        for name in sorted(self.running, key=lambda name: name == "pg"):
            process = self.running[name]
            process.send_signal(signal.SIGQUIT if name == "pg" else signal.SIGKILL)
            process.wait(30)


def play(run, asked):
    generated = subprocess.run([asked.lab, "catalogue", "generate"], stdout=subprocess.PIPE, check=True).stdout
    (run.folder / "catalogue.json").write_bytes(generated)
    run.database()
    for at in (0, 1):
        run.replica(at, asked.old)
    run.tell(f"two replicas of the old release are ready, schema {run.schema()}")
    run.balance()
    out = asked.out or run.folder / "report"
    run.start("lab", [
        asked.lab, "load", "run", "4", "--target", f"http://127.0.0.1:{run.proxy['http']}/challenge",
        "--events", f"http://127.0.0.1:{run.proxy['events']}", "--catalogue", "catalogue.json",
        "--receiver", f"127.0.0.1:{run.receiver}", "--retries", "3", "--duration", f"{asked.seconds}s",
        "--scale", asked.scale, "--rate", asked.rate, "--ramp", "5s", "--out", out])
    lab = run.running["lab"]
    wait("the load", 120, lambda: "running" in report(out).get("stage", "running") and (out / "report.json").exists())
    run.tell("the load runs")
    for at in (0, 1):
        time.sleep(asked.seconds / 4)
        run.replace(at, asked.new)
        if lab.poll() is not None:
            sys.exit("the load ended before both replicas were replaced: --seconds is too short")
    code = lab.wait()
    run.running.pop("lab")
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
    # So that what was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    asked.lab = asked.lab or asked.new
    run = Run(pathlib.Path(tempfile.mkdtemp(prefix="gauntlet-upgrade-")))
    try:
        code = play(run, asked)
    finally:
        run.stop()
        if asked.keep:
            print(f"logs: {run.folder}", file=sys.stderr)
        else:
            shutil.rmtree(run.folder, ignore_errors=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
