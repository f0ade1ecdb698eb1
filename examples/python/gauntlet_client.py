"""A small client of Gauntlet's player API, with nothing but Python's standard library.

It does what every client should: it names the player by credentials, acts on the reason of an error,
waits as long as it is told before it asks again, repeats only what may be repeated, and polls with an
entity tag. Take it as it is, or as a pattern for a client in another language.
"""

from __future__ import annotations

import gzip
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Optional

# Nothing was done, or asking again joins what was begun: docs/errors.md has the whole table.
PASSING = {
    "OVERLOADED", "RATE_LIMITED", "CONFLICT", "STORE_UNAVAILABLE", "SIGN_IN_UNAVAILABLE", "REWARD_PENDING",
}
LONGEST_PAUSE = 30.0


class GauntletError(Exception):
    """A refusal. `reason` is for programs, the text for people; `metadata` has the ids and numbers."""

    def __init__(self, status: int, body: dict[str, Any], retry_after: Optional[float]):
        details = (body.get("details") or [{}])[0]
        self.status = status
        self.reason: str = details.get("reason", "")
        self.metadata: dict[str, str] = details.get("metadata", {})
        self.retry_after = retry_after
        super().__init__(f"{self.reason or status}: {body.get('message', 'no message')}")


class Client:
    """One player at one service. Not for several threads at once.

    `base` is the API with its base path, such as http://127.0.0.1:8000/challenge. A service with
    `--auth jwt` wants a `token`; one with mock sign-in believes the name of the `player`.
    """

    def __init__(self, base: str, *, token: str = "", player: str = "", tries: int = 5, timeout: float = 25.0):
        if bool(token) == bool(player):
            raise ValueError("give either a token or a player")
        self.base = base.rstrip("/")
        self.tries = tries
        self.timeout = timeout
        self._who = {"authorization": f"Bearer {token}"} if token else {"x-mock-user-id": player}
        self._seen: dict[str, tuple[str, Any]] = {}

    # ---- What a player can do ----

    def initialize(self) -> dict[str, Any]:
        """Assigns default goals and answers the active ones. Call it at every login."""
        return self._call("POST", "/v1/challenges/initialize")

    def challenges(self, *, active_only: bool = False) -> list[dict[str, Any]]:
        """All challenges with the player's progress. Unchanged, it costs a reply without a body."""
        query = "?active_only=true" if active_only else ""
        return self._call("GET", f"/v1/challenges{query}")["challenges"]

    def challenge(self, challenge: str) -> dict[str, Any]:
        """One challenge with the player's progress."""
        return self._call("GET", f"/v1/challenges/{_segment(challenge)}")

    def set_active(self, challenge: str, goal: str, active: bool) -> dict[str, Any]:
        """Lets events count for a goal, or not; progress is kept."""
        return self._call("PUT", f"{_goals(challenge)}/{_segment(goal)}/active", {"isActive": active})

    def select(self, challenge: str, goals: list[str], *, replace: bool = False) -> dict[str, Any]:
        """Activates goals by name: all of them or none."""
        body = {"goalIds": goals, "replaceExisting": replace}
        return self._call("POST", f"{_goals(challenge)}/batch-select", body)

    def draw(self, challenge: str, count: int, *, replace: bool = False, exclude_active: bool = True) -> dict[str, Any]:
        """Activates goals drawn at random. Asked again it draws again, so a lost answer is not repeated."""
        body = {"count": count, "replaceExisting": replace, "excludeActive": exclude_active}
        return self._call("POST", f"{_goals(challenge)}/random-select", body, repeatable=False)

    def claim(self, challenge: str, goal: str) -> dict[str, Any]:
        """Claims the reward of a completed goal: granted once, however often it is asked for."""
        return self._call("POST", f"{_goals(challenge)}/{_segment(goal)}/claim")

    def rotation(self, challenge: str) -> dict[str, Any]:
        """When the challenge's cycle ends, and what comes after."""
        return self._call("GET", f"/v1/challenges/{_segment(challenge)}/rotation")["rotation"]

    def history(self, challenge: str) -> list[dict[str, Any]]:
        """All cycles that have ended, those that ended last first."""
        cycles: list[dict[str, Any]] = []
        token = ""
        while True:
            query = urllib.parse.urlencode({"page_size": 100, "page_token": token})
            page = self._call("GET", f"/v1/challenges/{_segment(challenge)}/history?{query}")
            cycles += page["cycles"]
            token = page["nextPageToken"]
            if not token:
                return cycles

    # ---- How it is asked ----

    def _call(self, method: str, path: str, body: Any = None, *, repeatable: bool = True) -> Any:
        pause = 1.0
        for attempt in range(1, self.tries + 1):
            try:
                return self._once(method, path, body)
            except GauntletError as error:
                if error.reason not in PASSING or attempt == self.tries:
                    raise
                if error.reason == "STORE_UNAVAILABLE" and not repeatable:
                    raise  # the answer to a commit may have been lost
                wait = pause if error.retry_after is None else max(error.retry_after, pause if attempt > 1 else 0.0)
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                # Nobody knows whether it was done: only what may be done twice is asked again.
                if not repeatable or attempt == self.tries:
                    raise
                wait = pause
            # A random part, so that many clients do not come back in step.
            time.sleep(min(wait, LONGEST_PAUSE) * random.uniform(1.0, 1.3))
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, path: str, body: Any) -> Any:
        headers = {"accept-encoding": "gzip", **self._who}
        tag, known = self._seen.get(path, ("", None))
        if method == "GET" and tag:
            headers["if-none-match"] = tag
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as reply:
                answer = _read(reply)
                if reply.headers.get("etag"):
                    self._seen[path] = (reply.headers["etag"], answer)
                return answer
        except urllib.error.HTTPError as reply:
            with reply:
                if reply.code == 304:
                    return known
                after = reply.headers.get("retry-after")
                try:
                    refused = _read(reply)
                except ValueError:
                    refused = {"message": "the answer is not from Gauntlet; is a proxy in between?"}
            raise GauntletError(reply.code, refused, float(after) if after else None) from None


def _read(reply: Any) -> Any:
    body = reply.read()
    if reply.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return json.loads(body)


def _segment(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _goals(challenge: str) -> str:
    return f"/v1/challenges/{_segment(challenge)}/goals"
