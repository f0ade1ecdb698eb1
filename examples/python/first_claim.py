"""From the first login to a claimed reward, against a service that runs on this machine.

    gauntlet serve                       in one terminal
    python3 first_claim.py               in another

In a game, the client does what `Client` does here, and the game's servers send the events.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
import uuid

from gauntlet_client import Client, GauntletError


def send(events: str, secret: str, kind: str, player: str, data: dict) -> None:
    """What the game's servers do: one CloudEvent. Its id makes sending it again harmless."""
    event = {
        "specversion": "1.0", "id": str(uuid.uuid4()), "source": "/examples/python",
        "type": kind, "subject": player, "data": data,
    }
    headers = {"content-type": "application/cloudevents+json"}
    if secret:
        headers["authorization"] = f"Bearer {secret}"
    request = urllib.request.Request(f"{events}/v1/events", json.dumps(event).encode(), headers)
    with urllib.request.urlopen(request, timeout=15) as reply:
        # 200 means: it is stored, with all that it changed.
        assert reply.status == 200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--api", default="http://127.0.0.1:8000/challenge", help="the player API [%(default)s]")
    parser.add_argument("--events", default="http://127.0.0.1:6566", help="where events come in [%(default)s]")
    parser.add_argument("--player", default=f"player-{uuid.uuid4().hex[:8]}", help="who plays [a new player]")
    parser.add_argument("--secret", default="", help="the secret of the events port, if it has one")
    args = parser.parse_args()
    game = Client(args.api, player=args.player)

    session = game.initialize()
    print(f"{args.player} begins with {session['totalActive']} goals")
    drawn = game.draw("veteran-road", 1)["selectedGoals"][0]
    print(f"and draws {drawn['goalId']}: {drawn['description']}")

    send(args.events, args.secret, "user.loggedIn", args.player, {})
    send(args.events, args.secret, "stat.updated", args.player,
         {"statCode": "enemy_kills", "latestValue": 12, "inc": 12})

    done = [(challenge["challengeId"], goal["goalId"])
            for challenge in game.challenges(active_only=True)
            for goal in challenge["goals"]
            if goal["status"] == "completed" and not goal["locked"]]
    for challenge, goal in done:
        reward = game.claim(challenge, goal)["reward"]
        print(f"{goal} is done: {reward['quantity']} {reward['rewardId']}")

    try:
        game.claim("first-steps", "first-blood")
    except GauntletError as error:
        print(f"once more? {error}")
        return 0 if error.reason == "GOAL_ALREADY_CLAIMED" else 1
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GauntletError as error:
        sys.exit(str(error))
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.url} answered {error.code}: {error.read().decode(errors='replace')}")
    except urllib.error.URLError as error:
        sys.exit(f"no answer: {error.reason}; does `gauntlet serve` run, and do --api and --events name its ports?")
