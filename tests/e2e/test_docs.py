"""Runs the console blocks of docs/cli.md literally and compares what they print.

In such a block a line that begins with "$ " is a command of the shell, lines with ">" behind it belong to it, and
what follows is its output, stdout and stderr together. Blocks of another kind (```text) are not run: what they show
depends on the machine. All commands of the document run one after the other in one empty directory.
test_docs.py KSRUN --write puts the present output into the document.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/cli.md")


def run(command, where, binary):
    env = dict(os.environ, PATH=os.path.dirname(binary) + ":" + os.environ["PATH"], LC_ALL="C",
               XDG_CONFIG_HOME=os.path.join(where, "config"))
    for name in ("KS_DATA", "KS_LOG", "KS_LOG_FORMAT", "KS_BOOTSTRAP", "KS_CONFIG", "KS_PROFILE"):
        env.pop(name, None)
    done = subprocess.run(["bash", "-c", command], cwd=where, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    return done.stdout.decode()


def timeless(text):
    """What differs from run to run: times of now, process ids, in how many commits a job did it."""
    text = re.sub(r"\b1[6-9]\d{11}\b", "TIME", text)
    text = re.sub(r"running since [-\d]+ [:\d]+", "running since TIME", text)
    text = re.sub(r"\d+ commits", "N commits", text)
    return re.sub(r"process \d+", "process PID", text)


def replay(text, binary):
    """The document with the output that its commands have now."""
    out, in_block, command = [], False, []
    where = tempfile.mkdtemp(prefix="ks-docs-")
    try:
        for line in text.splitlines():
            if command and not line.startswith(">"):
                out.extend(run("\n".join(command), where, binary).splitlines())
                command = []
            if line == "```console":
                in_block = True
            elif line == "```":
                in_block = False
            if not in_block or line == "```console":
                out.append(line)
            elif line.startswith("$ ") or (command and line.startswith(">")):
                out.append(line)
                command.append(line[2:])
    finally:
        shutil.rmtree(where)
    return "\n".join(out) + "\n"


def main():
    binary = os.path.abspath(sys.argv[1])
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    now = replay(text, binary)
    if "--write" in sys.argv:
        with open(DOCUMENT, "w", encoding="utf-8") as f:
            f.write(now)
        return 0
    wrong = 0
    before, after = timeless(text).splitlines(), timeless(now).splitlines()
    for i, (a, b) in enumerate(zip(before, after)):
        if a != b:
            print("docs/cli.md:%d: says %r, but now it is %r" % (i + 1, a, b))
            wrong = 1
            break
    if not wrong and len(before) != len(after):
        print("docs/cli.md: an output has become longer or shorter")
        wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
