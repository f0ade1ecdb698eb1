#!/usr/bin/env python3
"""Breaks things under a real Prometheus, and sees each alert of deploy/prometheus fire and clear.

    apt-get install prometheus prometheus-postgres-exporter prometheus-node-exporter postgresql
    lab/alerts/run.py target/debug/gauntlet [--out FILE] [--only WORD]

Starts everything itself, on loopback and free ports: PostgreSQL, two replicas on it, one process on SQLite, a
reward platform, Prometheus and its exporters. All windows and waits of the rules are 60 times shorter (5m is 5s); what
is compared with them is as it is. Prints a table in Markdown, and ends with 1 when an alert did not fire, or did not
clear. Takes about 20 minutes.
"""

import argparse
import json
import pathlib
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from processes import in_folder
from steps import STEPS
from world import DEPLOY, FASTER, Load, World

# The longest window that has to be clean again is 6 h.
FIRE, CLEAR = 120, 6 * 3600 / FASTER + 120


class Watch:
    """When each alert began and ceased to fire."""

    def __init__(self, world):
        self.world, self.now = world, set()
        self.began, self.ceased = {}, {}
        self.ends = threading.Event()
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while not self.ends.wait(0.2):
            try:
                now = self.world.firing()
            except (OSError, ValueError):
                continue
            for name in now - self.now:
                self.began[name] = time.time()
            for name in self.now - now:
                self.ceased.setdefault(name, []).append(time.time())
            self.now = now

    def cleared(self, name, healed):
        """Seconds until an alert first ceased after its mending began; None: it has not."""
        return next((at - healed for at in self.ceased.get(name, []) if at > healed), None)

    def until(self, seconds, condition):
        end = time.time() + seconds
        while time.time() < end and not condition():
            time.sleep(0.1)
        return condition()


def dashboards(world, load):
    """Asks every query of the dashboards, with everything under load; answers those without data."""
    world.watch_all()
    for number in range(30):
        load.call("a", "POST", "/v1/challenges/initialize", f"d{number}")
        load.claimable("a", f"d{number}")
        load.claim("a", f"d{number}")
        # Refused.
        load.call("a", "POST", "/v1/challenges/first-steps/goals/none/claim", f"d{number}")
        # More than what makes SQLite's log be moved.
        world.write_elsewhere(1).close()
        load.call("s", "POST", "/v1/challenges/initialize", f"d{number}")
        for _ in range(5):
            load.send("s", [load.event(f"d{player}") for player in range(number + 1)])
    # So that it is seen.
    time.sleep(3)
    empty, asked = [], 0
    for file in sorted((DEPLOY.parent / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"].replace("$__rate_interval", "15s").replace("$instance", ".*")
                values = [series["value"][1] for series in world.ask(query)]
                asked += 1
                if not values or all(value == "NaN" for value in values):
                    empty.append(f"{file.stem}: {panel['title']}: {query}")
    world.watch()
    return asked, empty


def play(world, only):
    world.prepare()
    load = Load(world)
    for player in [f"p{number}" for number in range(50)] + [f"c{number}" for number in range(20)] + ["one"]:
        load.claimable("a", player)
    load.claim("a", "c13")
    world.audit()
    world.start_watching()
    watch = Watch(world)
    load.begin()
    time.sleep(20)
    asked, empty = dashboards(world, load)
    print("\n".join([f"dashboards: {asked} queries, {len(empty)} without data", *empty]), file=sys.stderr, flush=True)
    time.sleep(10)
    rows = {}
    for title, alerts, run in STEPS:
        if not any(word in " ".join((title, *alerts)) for word in only.split(",")):
            continue
        # What still fires from before says nothing.
        watch.until(CLEAR, lambda: not watch.now & set(alerts))
        others = set(watch.now)
        broken = time.time()
        doing = run(world, load)
        next(doing)
        fired = watch.until(FIRE, lambda: all(watch.began.get(name, 0) > broken for name in alerts))
        beside = sorted(watch.now - others - set(alerts))
        healed = time.time()
        next(doing, None)
        for name in alerts:
            after = watch.began.get(name, 0) - broken
            rows[name] = [title, f"{after:.0f} s" if after > 0 else "**no**", broken, healed]
        print(f"{time.strftime('%H:%M:%S')} {title}: fired: {fired}; beside it: {', '.join(beside) or 'none'}",
              file=sys.stderr, flush=True)
        # Pages end soon; what ends slowly is looked at in the end.
        watch.until(20, lambda: not watch.now & set(alerts))
        next(doing, None)
    # An alert that something else has made fire again has cleared, too.
    watch.until(CLEAR, lambda: all(name not in watch.now or watch.cleared(name, row[3]) for name, row in rows.items()))
    lines = ["| alert | what was broken | fired after | cleared after |", "|---|---|---|---|"]
    for name, (title, fired, broken, healed) in rows.items():
        cleared = watch.cleared(name, healed)
        if cleared is not None:
            cleared = f"{cleared:.0f} s"
        elif name in watch.now:
            cleared = "**no**"
        else:
            cleared = "by itself" if fired != "**no**" else "-"
        lines.append(f"| {name} | {title} | {fired} | {cleared} |")
    known = set(re.findall(r"alert: (\w+)", (DEPLOY / "gauntlet.rules.yml").read_text()))
    lines += [f"| {name} | nothing | **no** | - |" for name in sorted(known - set(rows)) if not only]
    lines += ["", f"Queries of dashboards: {asked}, without data: {'**no** ' if empty else ''}{len(empty)}."]
    watch.ends.set()
    load.ends.set()
    return lines


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("gauntlet", type=pathlib.Path)
    about.add_argument("--out", type=pathlib.Path, help="where the table is written to, beside standard output")
    about.add_argument("--only", default="",
                       help="only steps with one of these words in their title or alerts, with commas between them")
    about.add_argument("--keep", action="store_true", help="keep the folder with logs")
    asked = about.parse_args()
    with in_folder("alerts", asked.keep) as processes:
        print(f"logs: {processes.folder}", file=sys.stderr)
        table = "\n".join(play(World(asked.gauntlet.resolve(), processes), asked.only))
    print(table)
    if asked.out:
        asked.out.write_text(table + "\n")
    sys.exit(1 if "**no**" in table else 0)


if __name__ == "__main__":
    main()
