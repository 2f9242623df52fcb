"""Tokens that PyJWT signs, with every algorithm that has public keys.

    tokens.py ISSUER AUDIENCE      prints {"jwks": …, "tokens": {algorithm: token}} as JSON
"""

import json
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER, AUDIENCE = sys.argv[1:3]

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = {name: RSA for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")} | {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}

now = int(time.time())
claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600}
published, tokens = [], {}
for name, key in KEYS.items():
    jwk = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    published.append({**jwk, "kid": name, "alg": name, "use": "sig"})
    tokens[name] = jwt.encode(claims, key, algorithm=name, headers={"kid": name})
print(json.dumps({"jwks": {"keys": published}, "tokens": tokens}))
