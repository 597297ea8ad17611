#!/usr/bin/env python3
"""Holds the table of known anomalies in docs/transactions.md against the tests.

Every entry has a row; every file and test that a row names is there, and as many of them as it says; every test that is named
after an entry (test_a7_...) is in that entry's row. Rows without a test are those of which the result says why. What holds has at
least one bug in base/seeded.def, which its tests catch.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENTRIES = {"A": 21, "B": 16, "C": 11, "D": 9}
UNTESTED = {"as in Kafka", "does not arise"}
# Of C and of Python; one that is not registered in C is an unused function, which the compiler refuses.
TEST = re.compile(r"^static void\s+(\w+)\(void \*\*|^    def (test_\w+)\(self", re.M)
NAMED = re.compile(r"^test_([abcd])(\d+)_")


def tests_of(path):
    return [a or b for a, b in TEST.findall(path.read_text()) if not re.match(r"(set_up|tear_down|setup|teardown)", a or b)]


def read_rows(text):
    rows = {}
    for line in text.splitlines():
        if re.match(r"\| [A-D]\d+ \|", line):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows.setdefault(cells[0], []).append(cells)
    return rows


def problems_of_part(entry, part, seen):
    """One part is `file`, `file` (number of tests) or `file`: `test`, `test`."""
    file = re.match(r"`([\w/]+\.(?:c|py))`", part)
    if not file:
        rules = (ROOT / "tests/checker/rules.py").read_text()
        for rule in re.findall(r"[\w-]+", part.partition("rule")[2].lstrip("s")):
            if f"def {rule.replace('-', '_')}(" not in rules:
                yield f"{entry}: tests/checker has no rule {rule}"
        return
    path = ROOT / "tests" / file[1]
    if not path.is_file():
        yield f"{entry}: there is no tests/{file[1]}"
        return
    there = tests_of(path)
    own = [name for name in there if name.startswith(f"test_{entry.lower()}_")]
    rest = part[file.end():]
    named = re.findall(r"`(\w+)`", rest)
    for name in named:
        if name not in there:
            yield f"{entry}: tests/{file[1]} has no test {name}"
    number = re.match(r" \((\d+)\)", rest)
    if number and int(number[1]) != len(own or there):
        yield f"{entry}: tests/{file[1]} has {len(own or there)} tests, not {number[1]}"
    seen |= {(file[1], name) for name in (own if number else named)}


def problems_of_row(cells, seen):
    entry = cells[0]
    if len(cells) != 5 or not all(cells):
        yield f"{entry}: its row has not five cells"
        return
    if cells[3] == "-":
        if cells[4] not in UNTESTED:
            yield f"{entry}: no test, and its result is \"{cells[4]}\""
        return
    for part in re.split(r"; ", cells[3]):
        yield from problems_of_part(entry, part, seen)


def unlisted(seen):
    """Tests that are named after an entry and that its row does not have."""
    for path in sorted((ROOT / "tests").rglob("test_*")):
        if path.suffix not in (".c", ".py"):
            continue
        name = path.relative_to(ROOT / "tests").as_posix()
        for test in tests_of(path):
            match = NAMED.match(test)
            if match and (name, test) not in seen:
                yield f"{match[1].upper()}{match[2]}: tests/{name} has {test}, and the row does not"


def without_bugs(rows):
    """Entries that hold, and of which no test has been seen to fail."""
    seeded = set(re.findall(r'^SEEDED\(\d+, "(\w+)"', (ROOT / "base/seeded.def").read_text(), re.M))
    for entry, (cells, *_) in rows.items():
        if cells[-1].startswith("holds") and entry not in seeded:
            yield f"{entry}: base/seeded.def has no bug of it"


def main():
    rows = read_rows((ROOT / "docs/transactions.md").read_text())
    wanted = [f"{letter}{n}" for letter, count in ENTRIES.items() for n in range(1, count + 1)]
    problems = [f"{entry}: {len(rows.get(entry, []))} rows" for entry in wanted if len(rows.get(entry, [])) != 1]
    problems += [f"{entry}: no such entry" for entry in rows if entry not in wanted]
    seen = set()
    for entry in wanted:
        for cells in rows.get(entry, []):
            problems += problems_of_row(cells, seen)
    problems += unlisted(seen)
    problems += without_bugs(rows)
    print("\n".join(problems) or f"{len(rows)} rows and {len(seen)} tests agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
