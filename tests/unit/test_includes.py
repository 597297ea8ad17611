#!/usr/bin/env python3
"""Holds every #include of the tree against the may-include table of docs/architecture.md.

The table is read from the document itself, so the drawing and the code cannot drift apart.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["base", "wire", "store", "txn", "groups", "broker", "server", "client", "streams", "lua", "cli"]
# Who alone may include a foreign header.
ALONE = {
    "rocksdb/c.h": {"store/rocks.c", "store/rocks_options.c"},
    "rocksdb/env.h": {"store/rocks_logger.cc", "store/rocks_wal.cc"},
    "rocksdb/file_system.h": {"store/rocks_wal.cc"},
    "simdjson.h": {"streams/json_shim.cc"},
}
LUA_HEADERS = {"lua.h", "lauxlib.h", "lualib.h", "lua5.4/lua.h"}


def read_table(text):
    """Lines 'folder -> folder folder ...' in the block that follows '<!-- may-include -->'."""
    block = text.split("<!-- may-include -->", 1)[1].split("```", 2)[1]
    allowed = {}
    for line in block.strip().splitlines():
        if "->" not in line:
            continue
        folder, targets = (part.strip() for part in line.split("->", 1))
        allowed[folder] = set(FOLDERS) if targets == "everything" else set(targets.split())
    return allowed


def may_include(allowed, folder, target):
    """target is 'folder/file.h'; a table entry may be a folder or one file of it."""
    top = target.split("/", 1)[0]
    return top == folder or top in allowed.get(folder, set()) or target in allowed.get(folder, set())


def problems_of(path, allowed):
    name = path.relative_to(ROOT).as_posix()
    folder = name.split("/", 1)[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if not match:
            continue
        target = match.group(1)
        place = f"{name}:{number}: "
        if target in ALONE and name not in ALONE[target]:
            yield place + f"only {', '.join(sorted(ALONE[target]))} may include {target}"
        if target in LUA_HEADERS and folder != "lua":
            yield place + f"only lua/ may include {target}"
        if target.split("/", 1)[0] in FOLDERS and not may_include(allowed, folder, target):
            yield place + f"{folder}/ may not include {target}"


def main():
    allowed = read_table((ROOT / "docs/architecture.md").read_text())
    missing = [f for f in FOLDERS if (ROOT / f).is_dir() and f not in allowed]
    problems = [f"docs/architecture.md: the table does not name {f}/" for f in missing]
    files = 0
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".c", ".h", ".cc", ".def"}:
                files += 1
                problems += problems_of(path, allowed)
    print("\n".join(problems) or f"{files} files hold to the table")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
