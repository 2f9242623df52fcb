"""A WebSocket server and client.

    websocket_peer.py server           prints its port
    websocket_peer.py client URL N     N connections at once, each says and hears messages; prints a JSON line
"""

import asyncio
import json
import sys

import websockets


async def echo(connection):
    async for message in connection:
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


if sys.argv[1] == "server":
    asyncio.run(serve())
else:
    asyncio.run(client(sys.argv[2], int(sys.argv[3])))
