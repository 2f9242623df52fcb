"""A client that signs its requests as RFC 9421 says, by a library that nobody here wrote.

    signer.py keys DIRECTORY          makes a key pair for each algorithm: NAME.pem, NAME.pub
    signer.py call URL DIRECTORY      calls with each key; prints a JSON line for each: algorithm, what was done to the request, status, code
"""

import datetime
import http.client
import json
import os
import sys
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

NAMES = {
    "hmac-sha256": algorithms.HMAC_SHA256,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "ecdsa-p384-sha384": algorithms.ECDSA_P384_SHA384,
    "ed25519": algorithms.ED25519,
}
COVERED = ("@method", "@authority", "@path", "@query", "content-digest", "x-note")
BODY = b'{"hello": "world"}'


def private(name):
    if name.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if name == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1() if "p256" in name else ec.SECP384R1())


def make(directory):
    form = serialization
    for name in NAMES:
        path = os.path.join(directory, name)
        if name == "hmac-sha256":
            secret = os.urandom(24).hex().encode()
            files = {".pem": secret, ".pub": secret}
        else:
            key = private(name)
            pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
            pub = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
            files = {".pem": pem, ".pub": pub}
        for ending, content in files.items():
            with open(path + ending, "wb") as file:
                file.write(content)


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, directory):
        self.directory = directory

    def resolve_private_key(self, key_id):
        with open(os.path.join(self.directory, key_id + ".pem"), "rb") as file:
            content = file.read()
        if key_id == "hmac-sha256":
            return content
        return serialization.load_pem_private_key(content, None)

    def resolve_public_key(self, key_id):
        raise NotImplementedError


class Request:
    """What the library wants to see of a request."""

    def __init__(self, url):
        self.method = "POST"
        self.url = url
        self.headers = {"Content-Type": "application/json", "X-Note": "a  note", "Host": urllib.parse.urlsplit(url).netloc}
        self.body = BODY


def signed(name, url, keys, nonce, age=0):
    import base64
    import hashlib

    request = Request(url)
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    request.headers["Content-Digest"] = f"sha-256=:{digest}:"
    signer = HTTPMessageSigner(signature_algorithm=NAMES[name], key_resolver=keys)
    created = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    signer.sign(
        request, key_id=name, created=created, nonce=nonce, covered_component_ids=COVERED, use_existing_digest=True
    )
    return request


def send(request, body=BODY, path=None):
    split = urllib.parse.urlsplit(request.url)
    connection = http.client.HTTPConnection(split.netloc, timeout=60)
    connection.request("POST", path or f"{split.path}?{split.query}", body, request.headers)
    answer = connection.getresponse()
    text = answer.read()
    try:
        code = json.loads(text).get("code")
    except ValueError:
        code = None
    connection.close()
    return answer.status, code


def call(url, directory):
    keys = Keys(directory)

    def tell(name, what, outcome):
        print(json.dumps({"algorithm": name, "what": what, "status": outcome[0], "code": outcome[1]}))

    for name in NAMES:
        request = signed(name, url, keys, "first")
        tell(name, "good", send(request))
        tell(name, "again", send(request))
        tell(name, "other body", send(signed(name, url, keys, "body"), body=b"{}"))
        tell(name, "other query", send(signed(name, url, keys, "query"), path="/echo/a?b=d"))
        tell(name, "old", send(signed(name, url, keys, "old", age=400)))
        request = signed(name, url, keys, "note")
        request.headers["X-Note"] = "another"
        tell(name, "other field", send(request))


if sys.argv[1] == "keys":
    make(sys.argv[2])
else:
    call(sys.argv[2], sys.argv[3])
