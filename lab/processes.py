"""What the labs in this folder share: processes that end with them, free ports, waiting, a PostgreSQL, servers.

A script in a folder of its own finds it with

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
"""

import contextlib
import http.client
import os
import pathlib
import pwd
import resource
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


def free_ports():
    """A port for each face of a server."""
    return {face: free_port() for face in FACES}


def get(port, path, timeout=5):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
        return answer.read().decode()


def wait(what, seconds, condition):
    """Asks until the condition holds; ends the program when it does not in time."""
    until = time.time() + seconds
    while time.time() < until:
        try:
            if condition():
                return
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    sys.exit(f"{what}: not within {seconds} s")


def generate_catalogue(gauntlet, file):
    file.write_bytes(subprocess.run([gauntlet, "catalogue", "generate"], check=True, stdout=subprocess.PIPE).stdout)


def webhook(port):
    """Flags of a server that posts its grants to a platform on this port."""
    return ["--allow-mock-with-real-rewards", "--rewards", "webhook", "--webhook-url", f"http://127.0.0.1:{port}/grants",
            "--webhook-secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]


class Processes:
    """Processes by name; each writes to a log of its name in the folder, and runs there."""

    def __init__(self, folder):
        self.folder, self.running = folder, {}

    def start(self, name, command, user=None, env=None, files=None, cores=None, ends_by=signal.SIGKILL):
        """`files`: how many may be open; `cores`: which ones it may use."""
        def prepare():
            if user:
                entry = pwd.getpwnam(user)
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            if cores:
                os.sched_setaffinity(0, cores)
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        with open(self.log(name), "ab") as log:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       preexec_fn=prepare, env={**os.environ, **(env or {})}, cwd=self.folder)
        process.ends_by = ends_by
        self.running[name] = process
        return process

    def log(self, name):
        return self.folder / f"{name}.log"

    def end(self, name, how=None):
        """Ends a process and answers its code."""
        process = self.running.pop(name)
        process.send_signal(how or process.ends_by)
        return process.wait(60)

    def serve(self, name, gauntlet, store, ports, catalogue, *more, **how):
        """A server that lets everybody in; it is ready afterwards."""
        faces = [part for face in FACES for part in (f"--{face}", f"127.0.0.1:{ports[face]}")]
        process = self.start(name, [gauntlet, "serve", "--store", store, "--auth", "mock", "--player-rate", "0",
                                    "--catalogue", catalogue, *faces, *more], **how)

        def ready():
            if process.poll() is not None:
                sys.exit(f"{name} ended with {process.returncode}: {self.log(name).read_text()[-2000:]}")
            return get(ports["ops"], "/readyz", timeout=2)
        wait(name, 60, ready)
        return process

    def stop(self):
        """The newest first, so that no server misses its database."""
        for name in reversed(list(self.running)):
            self.end(name)


class Postgres:
    """A PostgreSQL of Debian's on a port of its own, without passwords; `settings` as `name=value`."""

    def __init__(self, processes, *settings):
        self.processes, self.settings = processes, settings
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.port, self.data = free_port(), processes.folder / "pg"
        self.user = "postgres" if os.getuid() == 0 else None
        self.url = self.address("postgres")

    def address(self, database):
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def make(self):
        self.data.mkdir()
        # So that its user gets there.
        self.processes.folder.chmod(0o755)
        if self.user:
            shutil.chown(self.data, self.user)
        self.processes.start("initdb", [self.bin / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres"], self.user)
        code = self.processes.running.pop("initdb").wait()
        if code:
            sys.exit(f"initdb ended with {code}: {self.processes.log('initdb').read_text()[-2000:]}")
        self.start()

    def start(self):
        settings = [part for setting in ("listen_addresses=127.0.0.1", *self.settings) for part in ("-c", setting)]
        process = self.processes.start(
            "pg", [self.bin / "postgres", "-D", self.data, "-p", self.port, "-k", "/tmp", *settings], self.user,
            ends_by=signal.SIGQUIT)
        wait("PostgreSQL", 30, lambda: self.sql("SELECT 1") == "1")
        return process

    def sql(self, text):
        """What a statement answers; nothing when it fails."""
        done = subprocess.run([self.bin / "psql", self.url, "-AtXqc", text], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        return done.stdout.strip()

    def session(self, text):
        """A session of psql that stays open after what it did."""
        process = subprocess.Popen([self.bin / "psql", self.url, "-AtXq"], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        process.stdin.write(text + "\n")
        process.stdin.flush()
        return process


@contextlib.contextmanager
def in_folder(name, keep=False):
    """A folder and the processes in it; ends and removes both, however the program ends."""
    # So that what was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    processes = Processes(pathlib.Path(tempfile.mkdtemp(prefix=f"gauntlet-{name}-")))
    try:
        yield processes
    finally:
        processes.stop()
        if keep:
            print(f"logs: {processes.folder}", file=sys.stderr)
        else:
            shutil.rmtree(processes.folder, ignore_errors=True)
