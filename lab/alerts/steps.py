"""What is broken, one thing after the other, and which alerts have to fire because of it."""

import pathlib
import signal
import socket
import sqlite3
import threading
import time

from world import Platform

STEPS = []


def step(title, *alerts):
    """A step: a generator that breaks something, yields until the alerts fire, and mends it."""
    def add(run):
        STEPS.append((title, alerts, run))
        return run
    return add


@step("the database is killed",
      "GauntletApiErrorsBurnsFast", "GauntletApiErrorsBurnsSlowly", "GauntletEventErrorsBurnsFast",
      "GauntletEventErrorsBurnsSlowly", "GauntletFailureRate", "GauntletBreakerOpen", "GauntletStoreFails",
      "PostgresDown")
def database(world, load):
    world.kill_database()
    yield
    world.start_database()


@step("a session locks the table of players and goes away for lunch",
      "GauntletApiSlowBurnsFast", "GauntletApiSlowBurnsSlowly", "GauntletPoolNearlyUsedUp", "GauntletPoolWaits",
      "GauntletPoolTimeouts", "GauntletQueueLong", "PostgresIdleInTransaction")
def lock(world, load):
    session = world.session("BEGIN; LOCK TABLE player IN ACCESS EXCLUSIVE MODE;")
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
    world.end("b", signal.SIGTERM)
    world.serve("b", "--webhook-class", "neither")
    Platform.status = 500
    load.claim("b", "c11")
    Platform.status = 200
    yield


@step("a replica is killed", "GauntletDown")
def down(world, load):
    world.end("b")
    yield
    world.serve("b")


@step("a replica dies again and again", "GauntletRestarts")
def restarts(world, load):
    # The one on SQLite, which is ready soonest: three deaths have to fit into a quarter of a minute.
    world.watch(["a.ops", "b.ops", "s.ops"])
    time.sleep(3)
    for _ in range(6):
        world.end("s")
        world.serve("s", limit=120)
        time.sleep(1.2)
    yield
    world.watch(["a.ops", "b.ops"])


@step("Prometheus loses its targets", "GauntletAbsent")
def absent(world, load):
    world.watch([])
    yield
    world.watch(["a.ops", "b.ops"])


@step("a process of another release (a stand-in that shows its metrics)", "GauntletVersionsMixed")
def versions(world, load):
    Platform.page = 'gauntlet_build_info{version="9.9.9"} 1\n'
    world.watch(["a.ops", "b.ops", "platform"])
    yield
    world.watch(["a.ops", "b.ops"])


@step("the platform delivers events five minutes late", "GauntletEventLag")
def late(world, load):
    load.late = 300
    yield
    load.late = 0


@step("one event in five is malformed", "GauntletEventsMalformed")
def malformed(world, load):
    load.bad = True
    yield
    load.bad = False


@step("the platform sends no events", "GauntletEventsStopped")
def stopped(world, load):
    load.events = False
    yield
    load.events = True


@step("both replicas get the same player's events", "GauntletConflicts")
def conflicts(world, load):
    load.both = True
    yield
    load.both = False


@step("a replica hangs while the catalogue changes", "GauntletCatalogueLags")
def lags(world, load):
    world.processes["b"].send_signal(signal.SIGSTOP)
    file = world.folder / "a.json"
    file.write_text(file.read_text().replace("Into the arena", "Into the new arena"))
    yield
    world.processes["b"].send_signal(signal.SIGCONT)


@step("a process uses another catalogue (the one on SQLite)", "GauntletCatalogueDiffers")
def differs(world, load):
    world.watch(["a.ops", "b.ops", "s.ops"])
    yield
    world.watch(["a.ops", "b.ops"])


@step("a catalogue file with a fault", "GauntletCatalogueRejected")
def rejected(world, load):
    file = world.folder / "a.json"
    good = file.read_text()
    file.write_text(good.replace('"first-blood"', '"first blood!"', 1))
    yield
    file.write_text(good)


@step("a document is damaged", "GauntletStoreDamaged")
def damaged(world, load):
    world.sql("UPDATE player SET live = '\\x00' WHERE player = 'c12'")
    load.call("a", "GET", "/v1/challenges", "c12")
    yield


@step("a grant is deleted behind the service's back", "GauntletLedgerMismatch")
def mismatch(world, load):
    world.sql("DELETE FROM reward_grant WHERE player = 'c13'")
    world.audit()
    yield
    world.sql("DELETE FROM player WHERE player IN ('c12', 'c13'); DELETE FROM settled WHERE player IN ('c12', 'c13')")
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


@step("something reads the SQLite file for long, while 80 MB are written", "GauntletSqliteLogGrows")
def log_grows(world, load):
    world.watch(["a.ops", "b.ops", "s.ops"])
    reader = sqlite3.connect(world.folder / "s.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM player").fetchone()
    # Another tool writes, which is quicker than as many events.
    writer = sqlite3.connect(world.folder / "s.db", timeout=30)
    writer.execute("CREATE TABLE scratch (x BLOB)")
    for _ in range(80):
        writer.execute("INSERT INTO scratch VALUES (zeroblob(1000000))")
        writer.commit()
    yield
    reader.close()
    writer.execute("DROP TABLE scratch")
    writer.commit()
    writer.close()
    # The service moves the log with its next commits, and begins it anew.
    for number in range(60):
        load.call("s", "POST", "/v1/challenges/initialize", f"n{number}")
        time.sleep(0.2)
    world.end("s", signal.SIGTERM)
    world.serve("s", limit=120)


@step("nearly all files of a process are open (it may have 120)", "GauntletFilesRunOut")
def files(world, load):
    held = []
    ends = threading.Event()

    def hold():
        while not ends.is_set():
            for connection in held:
                connection.close()
            held[:] = [socket.create_connection(("127.0.0.1", world.ports["s.http"])) for _ in range(75)]
            ends.wait(5)
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    yield
    ends.set()
    holder.join()
    for connection in held:
        connection.close()
    world.end("s", signal.SIGTERM)
    world.serve("s", "--max-events", "64", cores={0})


@step("a flood of events at a process with one core and few places", "GauntletProcessorBusy", "GauntletSheds")
def flood(world, load):
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
    command = [world.gauntlet, "load", "run", scenario, "--target", f"http://127.0.0.1:{world.ports['s.http']}/challenge",
               "--events", f"http://127.0.0.1:{world.ports['s.events']}", "--out", world.folder / "flood"]
    world.start("flood", command)
    yield
    world.end("flood")
    world.watch(["a.ops", "b.ops"])
