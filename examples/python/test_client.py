"""The client and the example against the real program, which this starts by itself.

    GAUNTLET=../../target/release/gauntlet python3 -m unittest -v
"""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

from gauntlet_client import Client, GauntletError

HERE = pathlib.Path(__file__).parent
PROGRAM = os.environ.get("GAUNTLET", "gauntlet")


class Service:
    """`gauntlet serve` on free ports, with its files in a folder that goes away."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        program = str(pathlib.Path(PROGRAM).resolve()) if "/" in PROGRAM else PROGRAM
        ports = [part for port in ("http", "grpc", "events", "ops") for part in (f"--{port}", "127.0.0.1:0")]
        self.process = subprocess.Popen(
            [program, "serve", "--log-format", "json", "--auth", "mock", *ports],
            cwd=self.folder.name, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            said = json.loads(line)["fields"]
            if said["message"] == "ready":
                self.api, self.events = said["http"], said["events"]
                break
        else:
            raise RuntimeError("the service did not get ready")
        # Reads on, so that the service never waits for a full pipe.
        self.rest = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.rest.start()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.rest.join(10)
        self.process.stderr.close()
        self.folder.cleanup()


class AgainstTheProgram(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def test_the_example_gets_its_reward(self):
        ended = subprocess.run(
            [sys.executable, HERE / "first_claim.py", "--api", self.service.api, "--events", self.service.events],
            capture_output=True, text=True, timeout=60)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        self.assertIn("first-blood is done: 50 GOLD", ended.stdout)
        self.assertIn("once more? GOAL_ALREADY_CLAIMED", ended.stdout)

    def test_every_call(self):
        game = Client(self.service.api, player="ann")
        self.assertEqual(game.initialize()["newAssignments"], 7)
        self.assertEqual(game.initialize()["newAssignments"], 0)
        chosen = game.select("weekly-hunt", ["weekly-kills", "weekly-wins"])
        self.assertEqual(chosen["totalActiveGoals"], 2)
        self.assertEqual(len(game.draw("weekly-hunt", 1)["selectedGoals"]), 1)
        self.assertFalse(game.set_active("weekly-hunt", "weekly-kills", False)["isActive"])
        self.assertEqual(len(game.challenges()), 6)
        self.assertEqual(game.challenge("events")["challengeId"], "events")
        self.assertEqual(game.rotation("weekly-hunt")["schedule"], "weekly")
        self.assertEqual(game.history("weekly-hunt"), [])
        with self.assertRaises(GauntletError) as refused:
            game.claim("first-steps", "first-win")
        self.assertEqual(refused.exception.reason, "GOAL_NOT_COMPLETED")
        self.assertEqual(refused.exception.metadata["goal_id"], "first-win")

    def test_polling_shows_what_changed(self):
        game = Client(self.service.api, player="bob")
        game.initialize()
        first = game.challenges()
        self.assertIs(game.challenges(), first, "unchanged: the reply that is there")
        game.set_active("first-steps", "sharp-eye", True)
        self.assertNotEqual(game.challenges(), first)


class Moody(http.server.BaseHTTPRequestHandler):
    """Refuses as often as `refusals` says, then answers."""

    refusals: list = []
    asked = 0

    def do_POST(self):
        Moody.asked += 1
        reason = Moody.refusals.pop(0) if Moody.refusals else None
        body = {"message": "m", "details": [{"reason": reason}]} if reason else {"ok": True}
        self.send_response(503 if reason else 200)
        if reason:
            self.send_header("retry-after", "0.01")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


class Repeating(unittest.TestCase):
    def setUp(self):
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Moody)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.game = Client(f"http://127.0.0.1:{self.server.server_port}", player="a", tries=3)
        Moody.asked = 0

    def tearDown(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def test_what_passes_is_asked_again(self):
        Moody.refusals = ["OVERLOADED"]
        self.assertEqual(self.game.claim("c", "g"), {"ok": True})
        self.assertEqual(Moody.asked, 2)

    def test_not_for_ever(self):
        Moody.refusals = ["CONFLICT"] * 9
        self.assertRaisesRegex(GauntletError, "CONFLICT", self.game.initialize)
        self.assertEqual(Moody.asked, 3)

    def test_a_draw_whose_answer_may_be_lost_is_not(self):
        Moody.refusals = ["STORE_UNAVAILABLE"]
        self.assertRaises(GauntletError, self.game.draw, "c", 1)
        self.assertEqual(Moody.asked, 1)

    def test_what_stays_wrong_is_told_at_once(self):
        Moody.refusals = ["GOAL_NOT_ACTIVE"]
        self.assertRaises(GauntletError, self.game.claim, "c", "g")
        self.assertEqual(Moody.asked, 1)


if __name__ == "__main__":
    unittest.main()
