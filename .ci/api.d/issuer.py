"""An issuer of tokens for one run: a key made now, its set over HTTP, and a token for each player named.

    python issuer.py FOLDER PLAYER...

writes FOLDER/jwks-url last, after FOLDER/PLAYER.token for each, and serves until it is killed.
"""

import http.server
import json
import pathlib
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

folder = pathlib.Path(sys.argv[1])
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
keys = json.dumps({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}).encode()


class Keys(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(keys)

    def log_message(self, *_):
        pass


for player in sys.argv[2:]:
    claims = {"sub": player, "namespace": "gauntlet", "exp": int(time.time()) + 24 * 3600,
              "scope": "gauntlet.admin.read gauntlet.admin.write"}
    (folder / f"{player}.token").write_text(jwt.encode(claims, key, "RS256", headers={"kid": "one"}))
server = http.server.HTTPServer(("127.0.0.1", 0), Keys)
(folder / "jwks-url").write_text(f"http://127.0.0.1:{server.server_port}/jwks")
server.serve_forever()
