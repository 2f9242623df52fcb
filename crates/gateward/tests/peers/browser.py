"""Headless Chromium, told what to do line by line over its debugging protocol.

Each line of the input is a JSON array: a tab's number, a verb and what the verb wants; each gets a
line of output, the answer as JSON. The browser's profile is new, and gone at the end.

  [0, "open", URL]       shows a page and waits until it and all it is sent on to are loaded
  [0, "run", SCRIPT]     the value of an expression, awaited if it is a promise
  [0, "submit", SCRIPT]  runs a script that leaves the page, and waits for the next one
  [0, "cookies"]         the cookies that the browser has for the page
  [0, "forget"]          forgets all cookies
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import websockets

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-port=0",
]
PATIENCE = 50


def start(profile):
    """The browser, and the address at which it takes orders."""
    program = shutil.which("chromium") or sys.exit("there is no chromium")
    browser = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            with open(f"{profile}/DevToolsActivePort", encoding="ascii") as said:
                return browser, f"http://127.0.0.1:{int(said.readline())}"
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
    browser.kill()
    return sys.exit("chromium does not start")


class Tab:
    """A tab, by its own connection."""

    def __init__(self, socket):
        self.socket = socket
        self.number = 0
        self.loads = 0

    async def call(self, method, **params):
        self.number += 1
        number = self.number
        order = {"id": number, "method": method, "params": params}
        await self.socket.send(json.dumps(order))
        while True:
            said = await self.hear()
            if said.get("id") == number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return said["result"]

    async def hear(self):
        said = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        if said.get("method") == "Page.loadEventFired":
            self.loads += 1
        return said

    async def loaded(self, before):
        while self.loads == before:
            await self.hear()

    async def open(self, url):
        before = self.loads
        said = await self.call("Page.navigate", url=url)
        if "errorText" in said:
            return said["errorText"]
        await self.loaded(before)
        return await self.run("location.href")

    async def run(self, script):
        said = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in said:
            raise RuntimeError(f"{script}: {said['exceptionDetails']}")
        return said["result"].get("value")

    async def submit(self, script):
        before = self.loads
        await self.run(script)
        await self.loaded(before)
        return await self.run("location.href")

    async def forget(self):
        await self.call("Network.clearBrowserCookies")

    async def cookies(self):
        return (await self.call("Network.getCookies"))["cookies"]


async def tab(at, number, tabs):
    if number not in tabs:
        wanted = urllib.request.Request(f"{at}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(wanted) as said:
            address = json.load(said)["webSocketDebuggerUrl"]
        tabs[number] = Tab(await websockets.connect(address, max_size=None, ping_interval=None))
        await tabs[number].call("Page.enable")
    return tabs[number]


async def orders(at):
    tabs = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        number, verb, *rest = json.loads(line)
        asked = await tab(at, number, tabs)
        said = await getattr(asked, verb)(*rest)
        print(json.dumps(said), flush=True)


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser, at = start(profile)
        try:
            asyncio.run(orders(at))
        finally:
            browser.kill()
            browser.wait()


main()
