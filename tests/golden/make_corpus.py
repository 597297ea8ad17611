#!/usr/bin/env python3
"""Turns the golden frames into seeds for the fuzz targets of the APIs.

tests/golden/wire/<api>_v<version>_<request|response> becomes tests/fuzz/corpus/api_<api>/<the same name>:
one byte that says which message it is (the version, plus 128 for a response), then the message without length
and header, as tests/fuzz/fuzz_api.c reads it.
"""
import pathlib
import re
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]


def first_flexible_versions():
    rows = re.findall(r"^API\(\d+, (\w+), \d+, \d+, (\w+)\)", (ROOT / "wire/api.def").read_text(), re.M)
    return {name: 1 << 15 if flexible == "WIRE_NEVER" else int(flexible) for name, flexible in rows}


def body_of(frame, api, version, is_request, first_flexible):
    at = 8  # length and correlation id
    if is_request:
        at = 12
        at += 2 + max(struct.unpack(">h", frame[at:at + 2])[0], 0)
    # None of them has a tag in its header: a byte that is 0. ApiVersions answers without.
    if version >= first_flexible and (is_request or api != "api_versions"):
        assert frame[at] == 0
        at += 1
    return frame[at:]


def main():
    flexible = first_flexible_versions()
    for path in sorted((ROOT / "tests/golden/wire").iterdir()):
        api, version, kind = re.fullmatch(r"(\w+)_v(\d+)_(request|response)", path.name).groups()
        body = body_of(path.read_bytes(), api, int(version), kind == "request", flexible[api])
        folder = ROOT / "tests/fuzz/corpus" / f"api_{api}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).write_bytes(bytes([int(version) | (kind == "response") << 7]) + body)


if __name__ == "__main__":
    main()
