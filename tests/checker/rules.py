"""What must hold in a history, and what is only counted.

Every rule is a function that takes a history.History and yields sentences, one for each violation; its name with dashes is
the rule's name. RULES lists them. A transaction counts as committed when its client was told so, or when a read_committed
reader saw any of its records; as failed when the client was told so or never asked for its commit.
"""
import bisect

from history import FAIL, INFO, OK, Poll

PROGRESS_S = 20
OPEN_SLACK_MS = 10_000


class Facts:
    """What several rules need, drawn from a history once."""

    def __init__(self, history):
        self.history, self.steps = history, None
        self.seen = {True: {}, False: {}}        # by read_committed: value -> first (partition, offset)
        self.places = {}                         # (partition, offset) -> values
        self.homes = {}                          # value -> {(partition, offset)}
        self.highest = {}                        # partition -> highest offset that a read_committed reader saw
        for op in history.ops.values():
            for send in op.sends:
                if send.offset is not None:
                    self.note(send.at, send.offset, send.v)
        for poll in history.polls():
            seen = self.seen[poll.is_committed]
            for at, offset, value in poll.records:
                self.note(at, offset, value)
                seen.setdefault(value, (at, offset))
                if poll.is_committed and offset > self.highest.get(at, -1):
                    self.highest[at] = offset
        self.visible = self.offsets(self.seen[True])
        self.written = self.offsets({v: p for v, homes in self.homes.items() for p in homes})
        self.committed = {id(op) for op in history.ops.values() if op.outcome == OK and op.is_txn}
        for value in self.seen[True]:
            op, _ = history.by_value.get(value, (None, None))
            if op and op.is_txn and op.outcome != FAIL:
                self.committed.add(id(op))

    def note(self, at, offset, value):
        self.places.setdefault((at, offset), set()).add(value)
        self.homes.setdefault(value, set()).add((at, offset))

    @staticmethod
    def offsets(places):
        found = {}
        for at, offset in places.values():
            found.setdefault(at, set()).add(offset)
        return {at: sorted(offsets) for at, offsets in found.items()}

    def must_be_seen(self):
        """(op, send) of every record that a read_committed reader has to get."""
        for op in self.history.ops.values():
            if id(op) in self.committed:
                yield from ((op, send) for send in op.sends)
            elif not op.is_txn:
                yield from ((op, send) for send in op.sends if send.offset is not None)


# --- records ---

def inconsistent_offsets(facts):
    for (at, offset), values in facts.places.items():
        if len(values) > 1:
            yield f"partition {at} offset {offset} holds {sorted(values)}"


def duplicate(facts):
    for value, homes in facts.homes.items():
        if len(homes) > 1:
            yield f"value {value} is at {sorted(homes)}"
    for value in facts.history.repeated:
        yield f"value {value} was sent twice: the workload is wrong"


def from_nowhere(facts):
    for value, homes in facts.homes.items():
        if value not in facts.history.by_value:
            yield f"value {value} at {sorted(homes)} was sent by nobody"


def lost_write(facts):
    """Below what was read, a record of a committed transaction that nobody has read."""
    for op, send in facts.must_be_seen():
        if send.v in facts.seen[True] or send.offset is None:
            continue
        if send.offset < facts.highest.get(send.at, -1):
            yield f"value {send.v} of {op}, acknowledged at partition {send.at} offset {send.offset}, was never read"


def unseen(facts):
    """What even the readers that went to the end of every partition did not find."""
    if True in facts.history.final:
        for op, send in facts.must_be_seen():
            if send.v not in facts.seen[True]:
                yield f"value {send.v} of {op} in partition {send.at} is not there at the end"
    if False in facts.history.final:
        for op in facts.history.ops.values():
            for send in op.sends:
                if send.offset is not None and send.v not in facts.seen[False]:
                    yield (f"value {send.v} of {op}, acknowledged at partition {send.at} offset {send.offset}, is not there "
                           "for a read_uncommitted reader")


def g1a(facts):
    """Aborted read."""
    for value, (at, offset) in facts.seen[True].items():
        op, _ = facts.history.by_value.get(value, (None, None))
        if op and op.is_txn and op.outcome == FAIL:
            yield f"value {value} of {op}, which has failed, was read at partition {at} offset {offset}"


def precommitted_read(facts):
    """Read, under read_committed, before its commit was asked for; its own reads too."""
    for poll in facts.history.polls():
        if not poll.is_committed:
            continue
        for at, offset, value in poll.records:
            op, _ = facts.history.by_value.get(value, (None, None))
            if op and op.is_txn and (op is poll.op or (op.asked is not None and poll.t < op.asked)):
                yield f"value {value} of {op} was read at partition {at} offset {offset} before its commit"


# --- order ---

def walk(facts):
    """(rule, sentence) of every step of every reader that goes back or passes over something."""
    for process, events in facts.history.reading.items():
        last = {}  # partition: (offset, op)
        for event in events:
            if not isinstance(event, Poll):
                for at in event:
                    last.pop(at, None)
                continue
            shown = facts.visible if event.is_committed else facts.written
            for at, offset, _ in event.records:
                before, op = last.get(at, (None, None))
                last[at] = (offset, event.op)
                if before is None:
                    continue
                prefix = "int-" if event.op is not None and event.op is op else ""
                if offset <= before:
                    yield prefix + "nonmonotonic-poll", f"{process} read partition {at} offset {offset} after {before}"
                    continue
                offsets = shown.get(at, [])
                next_at = bisect.bisect_right(offsets, before)
                if next_at < len(offsets) and offsets[next_at] < offset:
                    yield (prefix + "poll-skip",
                           f"{process} read partition {at} offset {offset} after {before}, not {offsets[next_at]}")


def walked(facts, name):
    if facts.steps is None:
        facts.steps = list(walk(facts))
    return (sentence for rule, sentence in facts.steps if rule == name)


def int_poll_skip(facts):
    return walked(facts, "int-poll-skip")


def poll_skip(facts):
    return walked(facts, "poll-skip")


def int_nonmonotonic_poll(facts):
    return walked(facts, "int-nonmonotonic-poll")


def nonmonotonic_poll(facts):
    return walked(facts, "nonmonotonic-poll")


def int_nonmonotonic_send(facts):
    for op in facts.history.ops.values():
        last = {}
        for send in op.sends:
            if send.offset is None:
                continue
            if send.offset <= last.get(send.at, -1):
                yield f"{op} sent {send.v} to partition {send.at} later and got offset {send.offset} after {last[send.at]}"
            last[send.at] = send.offset


def nonmonotonic_send(facts):
    """Over the operations of one process."""
    last = {}
    for op in facts.history.ops.values():  # in the order in which they were begun
        for at in {s.at for s in op.sends if s.offset is not None}:
            offsets = [s.offset for s in op.sends if s.at == at and s.offset is not None]
            before = last.get((op.process, at), -1)
            if min(offsets) <= before:
                yield f"{op} got offset {min(offsets)} in partition {at}, an earlier one of its process {before}"
            last[op.process, at] = max(before, *offsets)


# --- cycles ---

def components(graph):
    """Tarjan's strongly connected components of more than one node; graph: node -> nodes. Without recursion."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for nxt in rest:
                if nxt not in index:
                    index[nxt] = low[nxt] = len(index)
                    stack.append(nxt)
                    on_stack.add(nxt)
                    work.append((nxt, iter(graph.get(nxt, ()))))
                    break
                if nxt in on_stack:
                    low[node] = min(low[node], index[nxt])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = [stack.pop()]
                    while component[-1] != node:
                        component.append(stack.pop())
                    on_stack.difference_update(component)
                    if len(component) > 1:
                        found.append(component)
    return found


def write_read(facts):
    """writer -> readers, among transactions that may have committed; read_committed readers only."""
    graph, ops = {}, {}
    for op in facts.history.ops.values():
        for poll in op.polls if op.is_txn and op.outcome != FAIL else ():
            for _, _, value in poll.records if poll.is_committed else ():
                writer, _ = facts.history.by_value.get(value, (None, None))
                if writer and writer.is_txn and writer is not op:
                    ops[id(writer)], ops[id(op)] = writer, op
                    graph.setdefault(id(writer), set()).add(id(op))
    return graph, ops


def write_write(facts, graph, ops):
    """Adds each record's writer -> the next one's in its partition."""
    for at, offsets in facts.written.items():
        before = None
        for offset in offsets:
            value = min(facts.places[at, offset])
            op, _ = facts.history.by_value.get(value, (None, None))
            if not op or id(op) not in facts.committed:
                continue
            ops[id(op)] = op
            if before is not None and before is not op:
                graph.setdefault(id(before), set()).add(id(op))
            before = op
    return graph, ops


def g1c(facts):
    """Transactions that have read from each other in a circle."""
    graph, ops = write_read(facts)
    for component in components(graph):
        yield "a circle of reads: " + ", ".join(str(ops[node]) for node in component[:8])


# --- offsets of groups ---

class Commit:
    def __init__(self, op, offset):
        self.begin, self.end, self.offset, self.is_sure, self.op = op.asked, op.done, offset, op.outcome == OK, op


def commits_of(facts):
    """(group, partition) -> Commits, those that may have taken effect."""
    found = {}
    for op in facts.history.ops.values():
        if op.group is not None and op.outcome != FAIL:
            for at, offset in op.offsets.items():
                found.setdefault((op.group, at), []).append(Commit(op, offset))
    return found


def stale_offset(facts):
    """A group's offset is that of a commit which no later one has replaced before the question."""
    commits = commits_of(facts)
    for group, asked, answered, offsets in facts.history.committed:
        for at, offset in offsets.items():
            of = [c for c in commits.get((group, at), ()) if c.begin <= answered]
            before = [c for c in of if c.is_sure and c.end < asked]
            newest = max((c.begin for c in before), default=None)
            if offset < 0:
                if before:
                    yield f"group {group} partition {at} has no offset after {before[-1].op} committed {before[-1].offset}"
                continue
            if not any(c.offset == offset and (not c.is_sure or newest is None or c.end >= newest) for c in of):
                last = f"the last commit is {max(before, key=lambda c: c.begin).offset}" if before else "nothing is committed"
                yield f"group {group} partition {at} has offset {offset}, {last}"


def offset_back(facts):
    last = {}
    for group, asked, answered, offsets in sorted(facts.history.committed, key=lambda c: c[1]):
        for at, offset in offsets.items():
            before, when = last.get((group, at), (-1, 0))
            if offset < before and when < asked:
                yield f"group {group} partition {at} went back from offset {before} to {offset}"
            if offset > before:
                last[group, at] = (offset, answered)


def processed(facts):
    """group -> (partition, offset) -> transactions that read it there and did not fail; groups of subscribers only."""
    found = {}
    for op in facts.history.ops.values():
        process = facts.history.process(op.process)
        if process.consume == "subscribe" and op.outcome != FAIL:
            places = found.setdefault(process.group, {})
            for poll in op.polls:
                for at, offset, _ in poll.records:
                    places.setdefault((at, offset), []).append(op)
    return found


def reprocessed(facts):
    """A record that two committed transactions of one group have read: its effect is there twice."""
    for group, places in processed(facts).items():
        for (at, offset), ops in places.items():
            sure = [op for op in ops if id(op) in facts.committed and at in op.offsets]
            if len(sure) > 1:
                yield f"group {group} processed partition {at} offset {offset} in {sure[0]} and in {sure[1]}"


def unprocessed(facts):
    """A record below a group's committed offset that no transaction of it has read: its effect is missing."""
    for group, places in processed(facts).items():
        for (name, at), commits in commits_of(facts).items():
            sure = [c.offset for c in commits if c.is_sure]
            if name != group or not sure:
                continue
            for offset in facts.visible.get(at, ()):
                if offset < max(sure) and (at, offset) not in places:
                    yield f"group {group} committed {max(sure)} in partition {at} and never processed offset {offset}"


# --- liveness ---

def no_progress(facts):
    """After every healing something succeeds soon, unless the next fault comes first."""
    done = sorted(op.done for op in facts.history.ops.values() if op.outcome == OK)
    phases = sorted(facts.history.phases)
    for i, (t, what) in enumerate(phases):
        if what != "healed":
            continue
        limit = t + PROGRESS_S * 1_000_000_000
        if i + 1 < len(phases) and phases[i + 1][0] < limit or i + 1 == len(phases):
            continue
        at = bisect.bisect_left(done, t)
        if at == len(done) or done[at] > limit:
            yield f"nothing succeeded within {PROGRESS_S} s after {t / 1e9:.1f} s, when all faults were over"


def stuck_offset(facts):
    for at, (stable, high) in (facts.history.ends or {}).items():
        if stable != high:
            yield f"partition {at} ends at {high} and its last stable offset is {stable}, after all transactions have ended"


def open_transaction(facts):
    for name, age, timeout in facts.history.open:
        if age > timeout + OPEN_SLACK_MS:
            yield f"the transaction of {name} is open for {age} ms, its timeout is {timeout} ms"


RULES = {rule.__name__.replace("_", "-"): rule for rule in (
    inconsistent_offsets, duplicate, from_nowhere, lost_write, unseen, g1a, precommitted_read, int_poll_skip, poll_skip,
    int_nonmonotonic_poll, nonmonotonic_poll, int_nonmonotonic_send, nonmonotonic_send, g1c, stale_offset, offset_back,
    reprocessed, unprocessed, no_progress, stuck_offset, open_transaction)}


def counts(facts):
    """What is no violation but worth knowing, and how much was checked at all."""
    ops = facts.history.ops.values()
    skips = 0
    for op in ops:
        by_partition = {}
        for s in op.sends:
            if s.offset is not None:
                by_partition.setdefault(s.at, []).append(s.offset)
        for at, own in by_partition.items():
            between = bisect.bisect_left(facts.written[at], max(own)) - bisect.bisect_left(facts.written[at], min(own))
            skips += between + 1 > len(own)
    graph, nodes = write_write(facts, *write_read(facts))
    return {
        "transactions": sum(op.is_txn for op in ops), "ok": sum(op.outcome == OK for op in ops),
        "failed": sum(op.outcome == FAIL for op in ops), "unknown": sum(op.outcome == INFO for op in ops),
        "sends": sum(len(op.sends) for op in ops), "read": len(facts.seen[True]),
        "offsets": len(facts.history.committed), "int-send-skip": skips, "ww-cycles": len(components(graph)),
    }


def check(history):
    """(violations as (rule, sentence), counts)"""
    facts = Facts(history)
    return [(name, s) for name, rule in RULES.items() for s in rule(facts)], counts(facts)
