"""What is broken, one thing after the other, and which alerts have to fire because of it."""

import pathlib
import signal
import socket
import sqlite3
import threading
import time

from processes import generate_catalogue
from world import Platform

STEPS = []


def step(title, *alerts):
    """A step: a generator that breaks something, yields until the alerts fire, mends it, and may yield once more, until
    they have cleared, before it tidies up."""
    def add(run):
        STEPS.append((title, alerts, run))
        return run
    return add


def watches(title, alert, targets):
    """A step in which Prometheus watches other processes than a and b."""
    @step(title, alert)
    def run(world, load):
        world.watch(targets)
        yield
        world.watch()


def sends(title, alert, **how):
    """A step in which the platform sends other events than it should: what differs in the load."""
    @step(title, alert)
    def run(world, load):
        before = {name: getattr(load, name) for name in how}
        vars(load).update(how)
        yield
        vars(load).update(before)


@step("the database is killed",
      "GauntletApiErrorsBurnsFast", "GauntletApiErrorsBurnsSlowly", "GauntletEventErrorsBurnsFast",
      "GauntletEventErrorsBurnsSlowly", "GauntletFailureRate", "GauntletBreakerOpen", "GauntletStoreFails",
      "PostgresDown")
def database(world, load):
    world.processes.end("pg")
    yield
    world.database.start()


@step("a session locks the table of players and goes away for lunch",
      "GauntletApiSlowBurnsFast", "GauntletApiSlowBurnsSlowly", "GauntletPoolNearlyUsedUp", "GauntletPoolWaits",
      "GauntletPoolTimeouts", "GauntletQueueLong", "PostgresIdleInTransaction")
def lock(world, load):
    session = world.database.session("BEGIN; LOCK TABLE player IN ACCESS EXCLUSIVE MODE;")
    load.batch = 200
    yield
    load.batch = 1
    session.kill()
    session.wait()


@step("the reward platform hangs up", "GauntletGrantPendingLong")
def platform_down(world, load):
    Platform.status = None
    for number in range(8):
        threading.Thread(target=load.claim, args=("a", f"c{number}"), daemon=True).start()
    yield
    Platform.status = 200


def calm(load, name, player):
    """Waits until a process calls the platform again: its breaker was open."""
    for _ in range(60):
        # Granted, now or before.
        if load.claim(name, player)[0] in (200, 409):
            return
        time.sleep(1)


@step("the platform refuses", "GauntletGrantsRefused")
def refused(world, load):
    calm(load, "b", "c14")
    Platform.status = 422
    load.claim("b", "c10")
    Platform.status = 200
    yield


@step("a platform that takes no key loses an answer", "GauntletGrantsUncertain")
def uncertain(world, load):
    world.again("b", signal.SIGTERM, "--webhook-class", "neither")
    Platform.status = 500
    load.claim("b", "c11")
    Platform.status = 200
    yield


@step("a replica is killed", "GauntletDown")
def down(world, load):
    world.processes.end("b")
    yield
    world.serve("b")


@step("a replica dies again and again", "GauntletRestarts")
def restarts(world, load):
    # The one on SQLite, which is ready soonest: three deaths have to fit into a quarter of a minute.
    world.watch_all()
    for _ in range(6):
        world.again("s", signal.SIGKILL)
        time.sleep(1.2)
    yield
    yield
    world.watch()


watches("Prometheus loses its targets", "GauntletAbsent", [])
watches("a process of another release (a stand-in that shows its metrics)", "GauntletVersionsMixed", ["a", "b", "platform"])

sends("the platform delivers events five minutes late", "GauntletEventLag", late=300)
sends("one event in five is malformed", "GauntletEventsMalformed", bad=True)
sends("the platform sends no events", "GauntletEventsStopped", events=False)
sends("both replicas get the same player's events", "GauntletConflicts", both=True)


@step("a replica hangs while the catalogue changes", "GauntletCatalogueLags")
def lags(world, load):
    world.processes.running["b"].send_signal(signal.SIGSTOP)
    file = world.folder / "a.json"
    file.write_text(file.read_text().replace("Into the arena", "Into the new arena"))
    yield
    world.processes.running["b"].send_signal(signal.SIGCONT)


watches("a process uses another catalogue (the one on SQLite)", "GauntletCatalogueDiffers", ["a", "b", "s"])


@step("a catalogue file with a fault", "GauntletCatalogueRejected")
def rejected(world, load):
    file = world.folder / "a.json"
    good = file.read_text()
    file.write_text(good.replace('"first-blood"', '"first blood!"', 1))
    yield
    file.write_text(good)


@step("a document is damaged", "GauntletStoreDamaged")
def damaged(world, load):
    world.database.sql("UPDATE player SET live = '\\x00' WHERE player = 'c12'")
    load.call("a", "GET", "/v1/challenges", "c12")
    yield


@step("a grant is deleted behind the service's back", "GauntletLedgerMismatch")
def mismatch(world, load):
    world.database.sql("DELETE FROM reward_grant WHERE player = 'c13'")
    world.audit()
    yield
    world.database.sql("DELETE FROM player WHERE player IN ('c12', 'c13'); DELETE FROM settled WHERE player IN ('c12', 'c13')")
    world.audit()


@step("nobody audits (the time in the file is two days old)", "GauntletAuditOld")
def old(world, load):
    file = world.folder / "metrics/gauntlet.prom"
    lines = file.read_text().splitlines()
    name = "gauntlet_audit_finished_timestamp_seconds"
    file.write_text("\n".join(f"{name} {time.time() - 172_801}" if line.startswith(name) else line
                              for line in lines) + "\n")
    yield
    world.audit()


# From here on the process on SQLite stays watched: an alert that ends with its target has not been seen to clear.
@step("something reads the SQLite file for long, while 80 MB are written", "GauntletSqliteLogGrows")
def log_grows(world, load):
    world.watch_all()
    reader = sqlite3.connect(world.folder / "s.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM player").fetchone()
    writer = world.write_elsewhere(80)
    yield
    reader.close()
    writer.execute("DROP TABLE scratch")
    writer.commit()
    writer.close()
    # The service moves the log with its next commits, and begins it anew.
    for number in range(60):
        load.call("s", "POST", "/v1/challenges/initialize", f"n{number}")
        time.sleep(0.2)


@step("nearly all files of a process are open (it may have 120)", "GauntletFilesRunOut")
def files(world, load):
    world.watch_all()
    world.again("s", signal.SIGTERM, files=120)
    held = []
    ends = threading.Event()

    def hold():
        while not ends.is_set():
            for connection in held:
                connection.close()
            held[:] = [socket.create_connection(("127.0.0.1", world.servers["s"]["http"])) for _ in range(75)]
            ends.wait(5)
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    yield
    ends.set()
    holder.join()
    for connection in held:
        connection.close()


@step("players browse faster than the one core of a process can answer", "GauntletProcessorBusy")
def busy(world, load):
    world.watch_all()
    catalogue = world.folder / "large.json"
    generate_catalogue(world.gauntlet, catalogue)
    world.again("s", signal.SIGTERM, catalogue=catalogue, cores={0})
    ends = threading.Event()

    def browse(player):
        """Asks before it has the answers, and does not unpack them, so that it costs far less than they do."""
        ask = ("GET /challenge/v1/challenges HTTP/1.1\r\nhost: s\r\naccept-encoding: gzip\r\n"
               f"x-mock-user-id: {player}\r\n\r\n").encode()
        with socket.create_connection(("127.0.0.1", world.servers["s"]["http"])) as connection:
            reader = threading.Thread(target=lambda: all(iter(lambda: connection.recv(1 << 20), b"")), daemon=True)
            reader.start()
            while not ends.is_set():
                connection.sendall(20 * ask)
            connection.shutdown(socket.SHUT_RDWR)
            reader.join()
    browsers = [threading.Thread(target=browse, args=(f"f{number}",), daemon=True) for number in range(8)]
    for browser in browsers:
        browser.start()
    yield
    ends.set()
    for browser in browsers:
        browser.join()


@step("a flood of events at a process with one core and two places", "GauntletSheds")
def flood(world, load):
    world.watch_all()
    world.again("s", signal.SIGTERM, "--max-events", "2", cores={0})
    scenario = pathlib.Path(world.folder / "flood.toml")
    scenario.write_text('''
name = "flood"
title = "More events than there are places"
duration = "5m"
[players]
count = 2000
prepare = "none"
[[arrivals]]
name = "events"
rate = 3000
in_flight = 800
mix = [{ share = 1, steps = [{ call = "stat", stats = ["enemy_kills"] }] }]
''')
    command = [world.gauntlet, "load", "run", scenario,
               "--target", f"http://127.0.0.1:{world.servers['s']['http']}/challenge",
               "--events", f"http://127.0.0.1:{world.servers['s']['events']}", "--out", world.folder / "flood"]
    world.processes.start("flood", command)
    yield
    world.processes.end("flood")
