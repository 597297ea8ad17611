#!/usr/bin/env python3
"""Shows that the tests catch bugs: puts each bug of base/seeded.def in and runs the tests that must fail then.

    tests/seeded/seeded.py                 all of them
    tests/seeded/seeded.py A7 121          the bugs of one entry, or one bug
    tests/seeded/seeded.py --list
    tests/seeded/seeded.py --try sim/test_transactions 11 12    what a test that is not listed makes of them

The bugs stand in the code behind KS_SEEDED_BUG(n) (base/seeded.h) and are in no other build than the one that this makes, in
build/seeded. Without a bug every test has to pass there; with it each test of its row has to fail.
"""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r'^SEEDED\((\d+), "([A-Z]\d+)", "([^"]+)", "([^"]+)"\)$')
TIMEOUT_S = 600


def read_rows():
    rows = []
    for line in (ROOT / "base/seeded.def").read_text().splitlines():
        if line.startswith("SEEDED("):
            found = ROW.match(line)
            if not found:
                sys.exit(f"base/seeded.def: cannot read: {line}")
            number, entry, tests, text = found.groups()
            rows.append((int(number), entry, tests.split(), text))
    numbers = [row[0] for row in rows]
    if len(set(numbers)) != len(numbers):
        sys.exit("base/seeded.def: a number stands there twice")
    return rows


def used_in_code():
    """The numbers that stand in the code."""
    found = set()
    for folder in ("base", "wire", "store", "txn", "groups", "broker", "server"):
        for path in sorted((ROOT / folder).glob("*.[ch]")):
            if path.name not in ("seeded.h", "seeded.c"):
                found |= {int(n) for n in re.findall(r"KS_SEEDED_BUG\((\d+)\)", path.read_text())}
    return found


def target_of(test):
    return test.replace("/", "_")


def build(directory, tests):
    configure = ["cmake", "-S", ROOT, "-B", directory, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DKS_SEEDED_BUGS=ON",
                 "-DCMAKE_C_FLAGS_DEBUG=-O1 -g", "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g"]
    for command in (configure, ["cmake", "--build", directory, "--target", *map(target_of, sorted(tests))]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout[-4000:] + done.stderr[-4000:])


def passes(directory, test, bug):
    environment = dict(os.environ, KS_SEEDED_BUG=str(bug) if bug else "")
    environment.pop("KS_LONG", None)
    try:
        done = subprocess.run([directory / "tests" / target_of(test)], cwd=ROOT, env=environment, timeout=TIMEOUT_S,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", help="entries (A7) or numbers (71)")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--try", dest="other", metavar="TEST", help="run this test in place of the listed ones; nothing has to fail")
    parser.add_argument("--build", type=Path, default=ROOT / "build/seeded")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    options = parser.parse_args()

    rows = read_rows()
    if used_in_code() != {row[0] for row in rows}:
        sys.exit(f"in base/seeded.def or in the code only: {sorted(used_in_code() ^ {row[0] for row in rows})}")
    if options.which:
        rows = [row for row in rows if row[1] in options.which or str(row[0]) in options.which]
    if not rows:
        sys.exit("no such bug")
    if options.other:
        rows = [(number, entry, [options.other], text) for number, entry, _, text in rows]
    if options.list:
        for number, entry, tests, text in rows:
            print(f"{number:>5} {entry:<4} {text} ({', '.join(tests)})")
        return 0

    tests = {test for row in rows for test in row[2]}
    build(options.build, tests)
    for test in sorted(tests):
        if not passes(options.build, test, 0):
            sys.exit(f"{test} fails without any bug")
    missed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [(row, [(test, pool.submit(passes, options.build, test, row[0])) for test in row[2]]) for row in rows]
        for (number, entry, _, text), results in runs:
            slept = [test for test, result in results if result.result()]
            missed += bool(slept)
            print(f"{number:>5} {entry:<4} {'MISSED by ' + ', '.join(slept) if slept else 'caught'}: {text}", flush=True)
    print(f"{len(rows) - missed} of {len(rows)} caught")
    return 1 if missed and not options.other else 0


if __name__ == "__main__":
    sys.exit(main())
