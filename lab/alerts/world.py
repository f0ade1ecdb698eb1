"""The world that run.py breaks: PostgreSQL, replicas, a reward platform, Prometheus and its exporters, on loopback."""

import http.client
import http.server
import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
DEPLOY = HERE.parent.parent / "deploy/prometheus"
FASTER = 60
SECRET = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shorter(text):
    """The rules with times FASTER times shorter; names of recorded series stay."""
    def short(match):
        return f"{int(match[1]) * UNITS[match[2]] * 1000 // FASTER}ms"

    text = re.sub(r"(?<=\[)(\d+)([smhd])(?=\])", short, text)
    text = re.sub(r"(?<=offset )(\d+)([smhd])", short, text)
    text = re.sub(r"(?<=for: )(\d+)([smhd])", short, text)
    return text.replace("2 * 86400", str(2 * 86400 // FASTER))


def wait(what, seconds, condition):
    until = time.time() + seconds
    while time.time() < until:
        try:
            if condition():
                return
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    sys.exit(f"{what}: not within {seconds} s")


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


class Platform(http.server.BaseHTTPRequestHandler):
    """A reward platform that answers as it is told."""

    # None: it hangs up.
    status = 200
    # What it shows as metrics of a process that it stands in for.
    page = ""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if Platform.status:
            self.send_response(Platform.status)
            self.send_header("content-length", "0")
            self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(Platform.page.encode())

    def log_message(self, *_):
        pass


class World:
    """All processes, by name."""

    def __init__(self, gauntlet, folder):
        self.gauntlet, self.folder = gauntlet, folder
        self.processes, self.ports = {}, {}
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        for name in ("pg", "prometheus", "pgexporter", "node", "platform"):
            self.ports[name] = free_port()
        for name in ("a", "b", "s"):
            for face in ("http", "grpc", "events", "ops"):
                self.ports[f"{name}.{face}"] = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.ports['pg']}/postgres?sslmode=disable"

    def start(self, name, command, user=None, env=None, limit=None, cores=None):
        def prepare():
            if user:
                entry = pwd.getpwnam(user)
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            if cores:
                os.sched_setaffinity(0, cores)
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        log = open(self.folder / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            preexec_fn=prepare, env={**os.environ, **(env or {})}, cwd=self.folder)

    def end(self, name, how=signal.SIGKILL):
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(30)

    def prepare(self):
        """Everything but Prometheus."""
        sample = HERE.parent.parent / "crates/gauntlet/assets/sample-catalogue.json"
        for name in ("a", "b", "s"):
            shutil.copy(sample, self.folder / f"{name}.json")
        platform = http.server.ThreadingHTTPServer(("127.0.0.1", self.ports["platform"]), Platform)
        threading.Thread(target=platform.serve_forever, daemon=True).start()
        self.make_database()
        for name in ("a", "b", "s"):
            self.serve(name)
        # Two versions here, one there.
        (self.folder / "a.json").write_text((self.folder / "a.json").read_text().replace("Defeat 10", "Beat 10"))
        wait("the second version", 60, lambda: "gauntlet_catalogue_version 2" in get(self.ports["b.ops"], "/metrics"))

    def audit(self):
        """What a nightly job does."""
        (self.folder / "metrics").mkdir(exist_ok=True)
        subprocess.run([self.gauntlet, "audit", "--store", self.url, "--metrics", self.folder / "metrics/gauntlet.prom"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # PostgreSQL
    def make_database(self):
        user = "postgres" if os.getuid() == 0 else None
        data = self.folder / "pg"
        data.mkdir()
        if user:
            shutil.chown(data, user)
            os.chmod(self.folder, 0o755)
        self.start("initdb", [self.bin / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], user)
        assert self.processes.pop("initdb").wait() == 0
        self.start_database()

    def start_database(self):
        user = "postgres" if os.getuid() == 0 else None
        self.start("pg", [self.bin / "postgres", "-D", self.folder / "pg", "-p", self.ports["pg"], "-k", "/tmp",
                          "-c", "listen_addresses=127.0.0.1"], user)
        wait("PostgreSQL", 30, lambda: self.sql("SELECT 1") == "1")

    def kill_database(self):
        self.end("pg", signal.SIGQUIT)

    def sql(self, text):
        done = subprocess.run([self.bin / "psql", self.url, "-AtXqc", text], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        return done.stdout.strip()

    def session(self, text):
        """A session of psql that stays open after what it did."""
        process = subprocess.Popen([self.bin / "psql", self.url, "-AtXq"], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        process.stdin.write(text + "\n")
        process.stdin.flush()
        return process

    # Gauntlet
    def serve(self, name, *more, limit=None, cores=None):
        store = f"sqlite:{self.folder / 's.db'}" if name == "s" else self.url
        command = [self.gauntlet, "serve", "--store", store, "--auth", "mock", "--player-rate", "0",
                   "--catalogue", self.folder / f"{name}.json", "--catalogue-watch", "500ms",
                   "--allow-mock-with-real-rewards", "--rewards", "webhook", "--webhook-secret", SECRET,
                   "--webhook-url", f"http://127.0.0.1:{self.ports['platform']}/grants", "--reward-deadline", "2s"]
        for face in ("http", "grpc", "events", "ops"):
            command += [f"--{face}", f"127.0.0.1:{self.ports[f'{name}.{face}']}"]
        self.start(name, command + list(more), limit=limit, cores=cores)
        wait(f"replica {name}", 60, lambda: get(self.ports[f"{name}.ops"], "/readyz"))

    # Prometheus
    def watch(self, targets):
        text = json.dumps([{"targets": [f"127.0.0.1:{self.ports[name]}" for name in targets]}])
        new = self.folder / "targets.json.new"
        new.write_text(text if targets else "[]")
        new.replace(self.folder / "targets.json")

    def start_watching(self):
        (self.folder / "rules.yml").write_text(shorter((DEPLOY / "gauntlet.rules.yml").read_text()))
        (self.folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s, scrape_timeout: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: gauntlet
    file_sd_configs: [{{files: [targets.json], refresh_interval: 1s}}]
  - job_name: postgres
    # With its database away, the exporter takes longer than a second to answer.
    scrape_interval: 3s
    scrape_timeout: 3s
    static_configs: [{{targets: ['127.0.0.1:{self.ports["pgexporter"]}']}}]
  - job_name: node
    static_configs: [{{targets: ['127.0.0.1:{self.ports["node"]}']}}]
""")
        self.watch(["a.ops", "b.ops"])
        self.start("prometheus", ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                                  f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}"])
        self.start("pgexporter", ["prometheus-postgres-exporter",
                                  f"--web.listen-address=127.0.0.1:{self.ports['pgexporter']}"],
                   env={"DATA_SOURCE_NAME": self.url})
        self.start("node", ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
                            f"--collector.textfile.directory={self.folder / 'metrics'}",
                            f"--web.listen-address=127.0.0.1:{self.ports['node']}"])
        wait("Prometheus", 60, lambda: get(self.ports["prometheus"], "/-/ready"))

    def firing(self):
        alerts = json.loads(get(self.ports["prometheus"], "/api/v1/alerts"))["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def stop(self):
        for name in [name for name in self.processes if name != "pg"]:
            self.end(name)
        if "pg" in self.processes:
            self.kill_database()


class Load:
    """Players and events, at a steady pace, as they are told."""

    def __init__(self, world):
        self.world = world
        self.browse, self.events, self.late, self.bad, self.both = "a", True, 0, False, False
        self.crowd, self.batch = 1, 1
        self.number = 0
        self.ends = threading.Event()

    def begin(self):
        for job in (self.browse_loop, self.event_loop):
            threading.Thread(target=job, daemon=True).start()

    def call(self, name, method, path, player, body=None, kind="application/json", face="http", timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.world.ports[f"{name}.{face}"], timeout=timeout)
        try:
            prefix = "/challenge" if face == "http" else ""
            connection.request(method, prefix + path, body, {"x-mock-user-id": player, "content-type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def browse_loop(self):
        turn = 0
        while not self.ends.wait(0.05 / self.crowd):
            turn += 1
            player = f"p{turn % 50}"
            job = (lambda player=player: self.call(self.browse, "GET", "/v1/challenges", player))
            threading.Thread(target=job, daemon=True).start()

    def event_loop(self):
        while not self.ends.wait(0.1):
            if self.events:
                batch = [self.event() for _ in range(self.batch)]
                names = ("a", "b") if self.both else ("a",)
                for name in names:
                    job = (lambda name=name, batch=batch: self.send(name, batch))
                    threading.Thread(target=job, daemon=True).start()

    def event(self, player=None, stat="enemy_kills", value=None, inc=1):
        self.number += 1
        at = time.gmtime(time.time() - self.late)
        player = player or ("one" if self.both else f"p{self.number % 50}")
        return {"specversion": "1.0", "id": f"e{self.number}", "source": "/try", "type": "stat.updated",
                "subject": player, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
                "data": {"statCode": stat, "latestValue": value or self.number,
                         "inc": "many" if self.bad and self.number % 5 == 0 else inc}}

    def send(self, name, batch):
        return self.call(name, "POST", "/v1/events", "", json.dumps(batch),
                         "application/cloudevents-batch+json", "events")

    def claimable(self, name, player):
        """A player with a completed goal."""
        self.call(name, "POST", "/v1/challenges/initialize", player)
        self.send(name, [self.event(player, value=1000)])

    def claim(self, name, player):
        return self.call(name, "POST", "/v1/challenges/first-steps/goals/first-blood/claim", player)
