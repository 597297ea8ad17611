"""Runs the scripts and tests of docs/lua.md.

A Lua block whose first line is "-- file: NAME" becomes that file; then every script is checked and every test is
run. No other complete scripts stand in the document.
"""

import os
import re
import subprocess
import sys
import tempfile

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/lua.md")


def main():
    binary = os.path.abspath(sys.argv[1])
    with open(DOCUMENT, encoding="utf-8") as f:
        blocks = re.findall(r"^```lua\n-- file: (\S+)\n(.*?)^```$", f.read(), re.M | re.S)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="ks-docs-") as where:
        for name, text in blocks:
            with open(os.path.join(where, name), "w", encoding="utf-8") as f:
                f.write(text)
        for name, _ in blocks:
            verb = ["test"] if name.endswith("_test.lua") else ["check", "--strict"]
            done = subprocess.run([binary, *verb, name], cwd=where, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=300)
            if done.returncode != 0:
                print("docs/lua.md: ksrun %s %s: exit code %d\n%s" %
                      (" ".join(verb), name, done.returncode, done.stdout.decode()))
                wrong = 1
    if len(blocks) < 9:
        print("docs/lua.md: only %d files were found" % len(blocks))
        wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
