#!/usr/bin/env python3
"""Installs the clients below a build folder, each only when something of it has changed since.

    setup.py [--build DIR] [--jobs N] [--required] [NAME...]

Prints one line for each. What cannot be had here leaves its reason in DIR/NAME.missing, which the test shows when it
skips; with --required the exit status is then 1.
"""
import argparse
import concurrent.futures
import hashlib
import inspect
import pathlib
import subprocess
import sys
import time

import clients

TRIES = 3   # a registry may fail once
SLOW = ("confluent_javascript", "rskafka", "rdkafka", "franz_go", "sarama")
SLOWEST_FIRST = sorted(clients.BY_NAME, key=lambda name: name not in SLOW)


def fingerprint(client):
    """Of its sources and of how it is installed."""
    digest = hashlib.sha256((inspect.getsource(type(client)) + repr(sorted(vars(client).items()))).encode())
    for source in client.sources:
        top = clients.HERE / source
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                digest.update(str(path.relative_to(clients.HERE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def install(client, build):
    """Returns what happened in a word; raises clients.Missing."""
    client.check()
    into, stamp = build / client.name, build / client.name / "stamp"
    wanted = fingerprint(client)
    if stamp.exists() and stamp.read_text() == wanted:
        return "is there"
    into.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)

    def run(command, **options):
        for left in reversed(range(TRIES)):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", stdin=subprocess.DEVNULL, **options)
            (into / "log").write_text(done.stdout)
            if done.returncode == 0:
                return
            if left == 0:
                raise clients.Missing(f"{' '.join(command[:3])} failed:\n{done.stdout[-2000:]}\nAll of it: {into / 'log'}")

    client.install(into, run)
    stamp.write_text(wanted)
    return "installed"


def attempt(name, build):
    """Installs one and says so; False when it cannot be had."""
    began, why = time.monotonic(), build / (name + ".missing")
    try:
        done = install(clients.BY_NAME[name], build)
    except clients.Missing as e:
        why.write_text(str(e))
        print(f"clients: {name} is left out: {e}", flush=True)
        return False
    why.unlink(missing_ok=True)
    print(f"clients: {name} {done} ({time.monotonic() - began:.1f} s)", flush=True)
    return True


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--build", type=pathlib.Path, default=clients.HERE.parent.parent / "build" / "clients")
    args.add_argument("--jobs", type=int, default=1)
    args.add_argument("--required", action="store_true")
    args.add_argument("names", nargs="*", metavar="NAME")
    args = args.parse_args()
    for name in set(args.names) - set(clients.BY_NAME):
        sys.exit(f"setup.py: no client {name}; there are {', '.join(clients.BY_NAME)}")
    build = args.build.resolve()
    build.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        done = list(pool.map(lambda name: attempt(name, build), args.names or SLOWEST_FIRST))
    return 0 if all(done) or not args.required else 1


if __name__ == "__main__":
    sys.exit(main())
