#!/usr/bin/env python3
"""Takes real requests and responses between clients and a broker, as files for the tests.

    capture.py --listen 127.0.0.1:29572 --broker 127.0.0.1:29472 [--out FOLDER] -- COMMAND...

A proxy that understands no more than the first bytes of a frame. The broker must advertise the address
that the proxy listens on, so that clients come back to it. COMMAND (see clients.sh) runs clients against
$KS_BOOTSTRAP; when it has ended, one exchange of every API and version that they used is written:
<api>_v<version>_request and <api>_v<version>_response, whole frames with their length. Among several the
fullest one of at most MAX_BYTES is kept, so that arrays and optional fields are there.
"""
import argparse
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_BYTES = 3000


def read_names():
    """API keys and their names: wire/api.def is the one list."""
    rows = re.findall(r"^API\((\d+), (\w+),", (ROOT / "wire/api.def").read_text(), re.M)
    return {int(key): name for key, name in rows}


def read_exactly(sock, size):
    parts = []
    while size:
        part = sock.recv(min(size, 65536))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(sock):
    head = read_exactly(sock, 4)
    body = head and read_exactly(sock, struct.unpack(">i", head)[0])
    return head + body if body else None


class Exchanges:
    """The fullest exchange of each (api key, version)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.best = {}

    def add(self, request, response):
        if max(len(request), len(response or b"")) > MAX_BYTES:
            return
        key = struct.unpack(">hh", request[4:8])
        size = len(request) + len(response or b"")
        with self.lock:
            if key not in self.best or size > sum(len(frame or b"") for frame in self.best[key]):
                self.best[key] = (request, response)

    def write(self, folder, names):
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for (key, version), (request, response) in sorted(self.best.items()):
            if key not in names:
                continue
            stem = folder / f"{names[key]}_v{version}"
            stem.with_name(stem.name + "_request").write_bytes(request)
            if response:
                stem.with_name(stem.name + "_response").write_bytes(response)
            count += 1
        return count


def carry_requests(client, broker, waiting):
    while frame := read_frame(client):
        waiting[struct.unpack(">i", frame[8:12])[0]] = frame
        broker.sendall(frame)


def carry_responses(client, broker, waiting, exchanges):
    while frame := read_frame(broker):
        request = waiting.pop(struct.unpack(">i", frame[4:8])[0], None)
        if request:
            exchanges.add(request, frame)
        client.sendall(frame)


def run_until_closed(function, sockets, *args):
    try:
        function(*args)
    except OSError:
        pass
    for sock in sockets:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener, broker_address, exchanges):
    while True:
        client, _ = listener.accept()
        try:
            broker = socket.create_connection(broker_address)
        except OSError:
            client.close()
            continue
        waiting = {}
        ends = (client, broker)
        threading.Thread(target=run_until_closed, daemon=True,
                         args=(carry_requests, ends, client, broker, waiting)).start()
        threading.Thread(target=run_until_closed, daemon=True,
                         args=(carry_responses, ends, client, broker, waiting, exchanges)).start()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", type=address, required=True)
    parser.add_argument("--broker", type=address, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/golden/wire")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()

    exchanges = Exchanges()
    listener = socket.create_server(args.listen)
    threading.Thread(target=serve, daemon=True, args=(listener, args.broker, exchanges)).start()
    env = dict(os.environ, KS_BOOTSTRAP="%s:%d" % args.listen)
    status = subprocess.run(args.command, env=env).returncode
    count = exchanges.write(args.out, read_names())
    print(f"{count} exchanges written to {args.out}")
    return status


if __name__ == "__main__":
    sys.exit(main())
