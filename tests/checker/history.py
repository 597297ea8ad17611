"""Reads what clients sent and saw, one JSON object a line, and puts it together into operations.

README.md describes the lines. Several files are one history: their lines are ordered by time, the clock being that of one
machine. A file may end in the middle of a line: its writer was killed. An operation that has no end is of unknown outcome,
unless its commit was never asked for: then it has failed for certain.
"""
import json

OK, FAIL, INFO = "ok", "fail", "info"
FOREVER = float("inf")


class Malformed(Exception):
    pass


class Send:
    __slots__ = ("at", "v", "t", "offset")

    def __init__(self, at, v, t):
        self.at, self.v, self.t, self.offset = at, v, t, None


class Poll:
    """records: (partition, offset, value); op: the operation in which it was done, or None."""
    __slots__ = ("process", "op", "t", "records", "is_committed")

    def __init__(self, process, op, t, records, is_committed):
        self.process, self.op, self.t, self.records, self.is_committed = process, op, t, records, is_committed


class Op:
    """A transaction; or, when not, records that were sent outside of any.

    began: when it was begun; asked: when its end was asked for, None when never; done: when its outcome was known."""
    __slots__ = ("process", "n", "is_txn", "began", "asked", "wanted", "done", "outcome", "sends", "polls", "group", "offsets")

    def __init__(self, process, n, is_txn, began):
        self.process, self.n, self.is_txn, self.began = process, n, is_txn, began
        self.asked, self.wanted, self.done, self.outcome = None, None, FOREVER, None
        self.sends, self.polls, self.group, self.offsets = [], [], None, {}

    def __str__(self):
        return f"{'transaction' if self.is_txn else 'operation'} {self.n} of {self.process}"

    def settle(self):
        """What an operation without an end amounts to."""
        if self.outcome is None:
            self.outcome = FAIL if self.is_txn and self.wanted != "commit" else INFO
        elif self.outcome == INFO and self.is_txn and self.wanted != "commit":
            self.outcome = FAIL


class Process:
    """One run of one client. consume: assign, subscribe or None."""

    def __init__(self, name, line):
        self.name, self.group, self.consume = name, line.get("group"), line.get("consume")
        self.is_committed = line.get("isolation", "read_committed") == "read_committed"


class History:
    """ops; polls and resets of positions in `reading`, by process, in order; everything that has a name of its own below."""

    def __init__(self):
        self.processes, self.ops, self.reading = {}, {}, {}
        self.committed = []   # (group, asked, answered, {partition: offset})
        self.phases = []      # (t, "fault" or "healed" or "end")
        self.final = {}       # isolation is read_committed: True when everything was read to the end
        self.ends = None      # partition: (last stable offset, high watermark), at the end
        self.open = []        # (transactional id, age, timeout) at the end, ms
        self.by_value = {}    # value: (Op, Send)
        self.repeated = []    # values that a client sent twice: the history is no good

    def process(self, name):
        if name not in self.processes:
            self.processes[name] = Process(name, {})
        return self.processes[name]

    def polls(self):
        for events in self.reading.values():
            yield from (e for e in events if isinstance(e, Poll))

    def op(self, line):
        key = (line["p"], line["n"])
        if key not in self.ops:
            raise Malformed(f"operation {line['n']} of {line['p']} was not begun")
        return self.ops[key]

    # --- one function for each kind of line ---

    def on_start(self, line):
        self.processes[line["p"]] = Process(line["p"], line)

    def on_begin(self, line):
        key = (line["p"], line["n"])
        if key in self.ops:
            raise Malformed(f"operation {line['n']} of {line['p']} was begun twice")
        self.ops[key] = Op(line["p"], line["n"], line["txn"], line["t"])

    def on_send(self, line):
        op, send = self.op(line), Send(line["at"], line["v"], line["t"])
        op.sends.append(send)
        if send.v in self.by_value:
            self.repeated.append(send.v)
        self.by_value[send.v] = (op, send)

    def on_ack(self, line):
        _, send = self.by_value[line["v"]]
        if send.at != line["at"]:
            raise Malformed(f"value {line['v']} was sent to partition {send.at} and acknowledged in {line['at']}")
        send.offset = line["o"]

    def on_nack(self, line):
        """Whether it was written is not known."""

    def on_poll(self, line):
        op = self.op(line) if line.get("n") is not None else None
        records = [tuple(r) for r in line["got"]]
        poll = Poll(line["p"], op, line["t"], records, self.process(line["p"]).is_committed)
        self.reading.setdefault(line["p"], []).append(poll)
        if op:
            op.polls.append(poll)

    def on_reset(self, line):
        self.reading.setdefault(line["p"], []).append(set(line["at"]))

    def on_offsets(self, line):
        op = self.op(line)
        op.group = line["group"]
        op.offsets.update({int(at): offset for at, offset in line["at"].items()})

    def on_end(self, line):
        op = self.op(line)
        if op.wanted != "commit":  # one that was asked to commit and is then aborted was still asked to commit
            op.asked, op.wanted = line["t"], line["as"]

    def on_outcome(self, line):
        op = self.op(line)
        op.outcome, op.done = line["e"], line["t"]

    on_ok = on_fail = on_info = on_outcome

    def on_committed(self, line):
        found = {int(at): offset for at, offset in line["at"].items()}
        self.committed.append((line["group"], line["t0"], line["t"], found))

    def on_phase(self, line):
        self.phases.append((line["t"], line["e"]))

    on_fault = on_healed = on_over = on_phase

    def on_final(self, line):
        self.final[self.process(line["p"]).is_committed] = True

    def on_ends(self, line):
        self.ends = {int(at): tuple(pair) for at, pair in line["at"].items()}

    def on_open(self, line):
        self.open.append((line["id"], line["age_ms"], line["timeout_ms"]))

    def on_note(self, line):
        """For those who read it."""


def lines_of(path):
    """The lines of one file; a torn last one is left out."""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                return
            try:
                yield json.loads(raw)
            except ValueError as e:
                raise Malformed(f"{path}:{number}: {e}")


def build(lines):
    """A History of lines in any order."""
    history = History()
    for line in sorted(lines, key=lambda line: line["t"]):
        act = getattr(history, "on_" + line["e"], None)
        if act is None:
            raise Malformed(f"no such event: {line['e']}")
        act(line)
    for op in history.ops.values():
        op.settle()
    return history


def read(paths):
    return build(line for path in paths for line in lines_of(path))
