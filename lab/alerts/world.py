"""The world that run.py breaks: PostgreSQL, replicas, a reward platform, Prometheus and its exporters, on loopback."""

import http.client
import http.server
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import threading
import time
import urllib.parse

from processes import Postgres, free_port, free_ports, get, wait, webhook

HERE = pathlib.Path(__file__).resolve().parent
DEPLOY = HERE.parent.parent / "deploy/prometheus"
FASTER = 60
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def shorter(text):
    """The rules with times FASTER times shorter; names of recorded series stay."""
    def short(match):
        return f"{int(match[1]) * UNITS[match[2]] * 1000 // FASTER}ms"

    text = re.sub(r"(?<=\[)(\d+)([smhd])(?=\])", short, text)
    text = re.sub(r"(?<=offset )(\d+)([smhd])", short, text)
    text = re.sub(r"(?<=for: )(\d+)([smhd])", short, text)
    return text.replace("2 * 86400", str(2 * 86400 // FASTER))


class Platform(http.server.BaseHTTPRequestHandler):
    """A reward platform that answers as it is told."""

    # None: it hangs up.
    status = 200
    # What it shows as metrics of a process that it stands in for.
    page = 'gauntlet_build_info{version="9.9.9"} 1\n'

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
    """Two replicas on PostgreSQL (a and b), one process on SQLite (s), and who watches them."""

    def __init__(self, gauntlet, processes):
        self.gauntlet, self.processes, self.folder = gauntlet, processes, processes.folder
        self.database = Postgres(processes)
        self.servers = {name: free_ports() for name in ("a", "b", "s")}
        self.ports = {name: free_port() for name in ("prometheus", "pgexporter", "node", "platform")}

    def prepare(self):
        """Everything but Prometheus."""
        sample = HERE.parent.parent / "crates/gauntlet/assets/sample-catalogue.json"
        for name in ("a", "b", "s"):
            shutil.copy(sample, self.folder / f"{name}.json")
        platform = http.server.ThreadingHTTPServer(("127.0.0.1", self.ports["platform"]), Platform)
        threading.Thread(target=platform.serve_forever, daemon=True).start()
        self.database.make()
        for name in ("a", "b", "s"):
            self.serve(name)
        # Two versions here, one there.
        (self.folder / "a.json").write_text((self.folder / "a.json").read_text().replace("Defeat 10", "Beat 10"))
        wait("the second version", 60, lambda: "gauntlet_catalogue_version 2" in get(self.servers["b"]["ops"], "/metrics"))

    def audit(self):
        """What a nightly job does."""
        (self.folder / "metrics").mkdir(exist_ok=True)
        file = self.folder / "metrics/gauntlet.prom"
        subprocess.run([self.gauntlet, "audit", "--store", self.database.url, "--metrics", file],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # Gauntlet
    def serve(self, name, *more, catalogue=None, **how):
        store = f"sqlite:{self.folder / 's.db'}" if name == "s" else self.database.url
        self.processes.serve(name, self.gauntlet, store, self.servers[name], catalogue or self.folder / f"{name}.json",
                             "--catalogue-watch", "500ms", "--reward-deadline", "2s",
                             *webhook(self.ports["platform"]), *more, **how)

    def again(self, name, how, *more, **which):
        self.processes.end(name, how)
        self.serve(name, *more, **which)

    def write_elsewhere(self, megabytes):
        """What another tool writes to the file of SQLite: quicker than as many events. Answers its connection."""
        writer = sqlite3.connect(self.folder / "s.db", timeout=30)
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("CREATE TABLE IF NOT EXISTS scratch (x BLOB)")
        for _ in range(megabytes):
            writer.execute("INSERT INTO scratch VALUES (zeroblob(1000000))")
            writer.commit()
        return writer

    # Prometheus
    def watch(self, targets=("a", "b")):
        ports = [self.servers[name]["ops"] if name in self.servers else self.ports[name] for name in targets]
        text = json.dumps([{"targets": [f"127.0.0.1:{port}" for port in ports]}])
        new = self.folder / "targets.json.new"
        new.write_text(text if targets else "[]")
        new.replace(self.folder / "targets.json")

    def ask(self, query):
        """What Prometheus answers: series with their values."""
        answer = get(self.ports["prometheus"], "/api/v1/query?" + urllib.parse.urlencode({"query": query}))
        return json.loads(answer)["data"]["result"]

    def watch_all(self):
        """Watches the process on SQLite, too, and waits until that is so: Prometheus takes up to 10 s."""
        self.watch(["a", "b", "s"])
        instance = f"127.0.0.1:{self.servers['s']['ops']}"
        # Twice, so that a count has grown since.
        wait("a look at the process on SQLite", 60, lambda: self.ask(f'count_over_time(up{{instance="{instance}"}}[3s]) > 1'))

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
        self.watch()
        listen = {name: f"--web.listen-address=127.0.0.1:{port}" for name, port in self.ports.items()}
        start = self.processes.start
        start("prometheus", ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", listen["prometheus"]])
        start("pgexporter", ["prometheus-postgres-exporter", listen["pgexporter"]], env={"DATA_SOURCE_NAME": self.database.url})
        start("node", ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
                       f"--collector.textfile.directory={self.folder / 'metrics'}", listen["node"]])
        wait("Prometheus", 60, lambda: get(self.ports["prometheus"], "/-/ready"))

    def firing(self):
        alerts = json.loads(get(self.ports["prometheus"], "/api/v1/alerts"))["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


class Load:
    """Players and events, at a steady pace, as they are told."""

    def __init__(self, world):
        self.world = world
        self.events, self.late, self.bad, self.both = True, 0, False, False
        self.batch, self.number = 1, 0
        self.ends = threading.Event()

    def begin(self):
        for job in (self.browse_loop, self.event_loop):
            threading.Thread(target=job, daemon=True).start()

    def call(self, name, method, path, player, body=None, kind="application/json", face="http", timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.world.servers[name][face], timeout=timeout)
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
        while not self.ends.wait(0.05):
            turn += 1
            player = f"p{turn % 50}"
            job = (lambda player=player: self.call("a", "GET", "/v1/challenges", player))
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
