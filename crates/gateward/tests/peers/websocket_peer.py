"""A WebSocket server and client.

    websocket_peer.py server           prints its port
    websocket_peer.py client URL N     N connections at once, each says and hears messages; prints a JSON line
    websocket_peer.py conform URL      all that the protocol has, one after the other; prints a JSON line
"""

import asyncio
import json
import sys

import websockets


async def echo(connection):
    try:
        await answer(connection)
    except websockets.exceptions.ConnectionClosedError:
        pass  # A status that says so is none of the server's faults.


async def answer(connection):
    async for message in connection:
        if message == "ping me":
            await (await connection.ping(b"from the server"))
        if isinstance(message, str) and message.startswith("close with "):
            return await connection.close(int(message.split()[-1]), "as asked")
        await connection.send(message)


async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=4 << 20) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


async def talk(url, number):
    async with websockets.connect(url, max_size=4 << 20) as connection:
        for message in (f"hello {number}", "", "x" * 100_000, bytes(range(256)) * 4000):
            await connection.send(message)
            if await connection.recv() != message:
                return False
        await (await connection.ping())
    return connection.close_code == 1000


async def client(url, count):
    ends = await asyncio.gather(*(talk(url, number) for number in range(count)), return_exceptions=True)
    good = sum(end is True for end in ends)
    print(json.dumps({"good": good, "bad": [repr(end) for end in ends if end is not True]}), flush=True)


SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20)


async def conform(url):
    """Messages of both kinds and all lengths of a length, whole and in fragments; pings from both sides; closes from both sides."""
    checked = []
    async with websockets.connect(url, max_size=4 << 20, compression=None) as connection:
        for size in SIZES:
            for message in ("x" * size, bytes(n % 256 for n in range(size))):
                await connection.send(message)
                checked.append((f"{type(message).__name__} {size}", await connection.recv() == message))
                pieces = [message[at : at + 1000] for at in range(0, min(size, 20000), 1000)] or [message]
                await connection.send(pieces)
                checked.append((f"fragments {size}", await connection.recv() == message[:0].join(pieces)))
        for payload in (b"", b"p" * 125):
            await (await connection.ping(payload))
            await connection.pong(payload)
        await connection.send("ping me")
        checked.append(("ping from the server", await connection.recv() == "ping me"))
    checked.append(("close", (connection.close_code, connection.close_reason) == (1000, "")))
    for code in (1000, 1001, 1003, 1008, 1009, 1011, 1012, 3000, 4999):
        async with websockets.connect(url) as connection:
            await connection.close(code, "enough")
        checked.append((f"we close {code}", connection.close_code == code))
        async with websockets.connect(url) as connection:
            await connection.send(f"close with {code}")
            await connection.wait_closed()
        checked.append((f"it closes {code}", (connection.close_code, connection.close_reason) == (code, "as asked")))
    async with websockets.connect(url, compression="deflate") as connection:
        await connection.send("z" * 100_000)
        checked.append(("compressed", await connection.recv() == "z" * 100_000))
    print(json.dumps({"good": sum(good for _, good in checked), "bad": [what for what, good in checked if not good]}), flush=True)


if sys.argv[1] == "conform":
    asyncio.run(conform(sys.argv[2]))
elif sys.argv[1] == "server":
    asyncio.run(serve())
else:
    asyncio.run(client(sys.argv[2], int(sys.argv[3])))
