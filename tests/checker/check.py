#!/usr/bin/env python3
"""Judges histories.

    check.py [--most 10] FILE...        all files together are one history

Prints what was checked and every violation (of one rule not more than so many). Exits with 1 when there is any.
"""
import argparse
import collections
import sys

import history
import rules


def report(violations, counts, most, out=sys.stdout):
    """True when there is no violation."""
    print(", ".join(f"{name} {n}" for name, n in counts.items()), file=out)
    by_rule = collections.Counter(rule for rule, _ in violations)
    shown = collections.Counter()
    for rule, sentence in violations:
        shown[rule] += 1
        if shown[rule] <= most:
            print(f"VIOLATION {rule}: {sentence}", file=out)
    for rule, n in by_rule.items():
        if n > most:
            print(f"VIOLATION {rule}: {n - most} more", file=out)
    return not violations


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    try:
        told = history.read(args.files)
    except history.Malformed as e:
        sys.exit(f"check.py: {e}")
    return 0 if report(*rules.check(told), args.most) else 1


if __name__ == "__main__":
    sys.exit(main())
