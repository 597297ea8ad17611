#!/usr/bin/env python3
"""Every rule finds the smallest history that breaks it, alone, and lets a history pass that differs in one thing."""
import json
import pathlib
import tempfile
import unittest

import history
import rules


class Script:
    """Writes a history line by line; the clock advances by 1 with each."""

    def __init__(self):
        self.lines, self.t = [], 0

    def line(self, process, event, **more):
        self.t += 1
        self.lines.append({"t": self.t, "p": process, "e": event, **more})
        return self

    def start(self, process, **more):
        return self.line(process, "start", **more)

    def begin(self, process, n):
        return self.line(process, "begin", n=n, txn=True)

    def send(self, process, n, at, v, offset=None):
        self.line(process, "send", n=n, at=at, v=v)
        return self.line(process, "ack", n=n, at=at, v=v, o=offset) if offset is not None else self

    def end(self, process, n, outcome="ok", wanted="commit", **more):
        self.line(process, "end", n=n, **{"as": wanted})
        return self.line(process, outcome, n=n, **more) if outcome else self

    def txn(self, process, n, *sends, outcome="ok", wanted="commit"):
        """sends: (partition, value, offset or None)"""
        self.begin(process, n)
        for send in sends:
            self.send(process, n, *send)
        return self.end(process, n, outcome, wanted)

    def poll(self, process, *records, n=None):
        """records: (partition, offset, value)"""
        return self.line(process, "poll", n=n, got=[list(r) for r in records])

    def offsets(self, process, n, group, **at):
        return self.line(process, "offsets", n=n, group=group, at={k[1:]: v for k, v in at.items()})

    def committed(self, group, began=None, **at):
        began = self.t + 1 if began is None else began
        return self.line("x", "committed", group=group, t0=began, at={k[1:]: v for k, v in at.items()})

    def found(self):
        violations, _ = rules.check(history.build(self.lines))
        return sorted({rule for rule, _ in violations})


class Rules(unittest.TestCase):
    def only(self, script, *names):
        self.assertEqual(script.found(), sorted(names))

    def passes(self, script):
        self.assertEqual(script.found(), [])

    # --- records ---

    def test_two_values_at_one_offset_are_inconsistent(self):
        s = Script().txn("a", 1, (0, 1, 5)).txn("b", 1, (0, 2, 5))
        self.only(s, "inconsistent-offsets")

    def test_two_values_at_one_offset_of_two_partitions_are_not(self):
        self.passes(Script().txn("a", 1, (0, 1, 5)).txn("b", 1, (1, 2, 5)))

    def test_an_acknowledgement_and_a_read_that_name_two_offsets_are_a_duplicate(self):
        s = Script().txn("a", 1, (0, 1, 5)).poll("r", (0, 6, 1))
        self.only(s, "duplicate")

    def test_a_value_read_by_two_readers_at_one_offset_is_no_duplicate(self):
        self.passes(Script().txn("a", 1, (0, 1, 5)).poll("r", (0, 5, 1)).poll("q", (0, 5, 1)))

    def test_a_value_that_the_workload_repeats_is_told(self):
        self.only(Script().txn("a", 1, (0, 1, 5)).txn("a", 2, (0, 1, 6)), "duplicate")

    def test_a_value_that_nobody_sent_is_told(self):
        self.only(Script().poll("r", (0, 5, 1)), "from-nowhere")

    def test_a_value_whose_sender_was_killed_comes_from_somewhere(self):
        self.passes(Script().begin("a", 1).send("a", 1, 0, 1).end("a", 1, None).poll("r", (0, 5, 1)))

    def test_a_record_that_is_jumped_over_is_lost(self):
        s = Script().txn("a", 1, (0, 1, 5)).txn("a", 2, (0, 2, 6)).poll("r", (0, 6, 2))
        self.only(s, "lost-write")

    def test_a_record_above_all_that_was_read_is_not_lost_yet(self):
        self.passes(Script().txn("a", 1, (0, 1, 5)).txn("a", 2, (0, 2, 6)).poll("r", (0, 5, 1)))

    def test_a_record_of_a_failed_transaction_that_is_jumped_over_is_not_lost(self):
        self.passes(Script().txn("a", 1, (0, 1, 5), outcome="fail", wanted="abort").txn("a", 2, (0, 2, 7)).poll("r", (0, 7, 2)))

    def test_a4_a_torn_commit_of_unknown_outcome_is_a_lost_write(self):
        s = Script().txn("a", 1, (0, 1, 5), (1, 2, 5), outcome="info").txn("a", 2, (1, 3, 7)).poll("r", (0, 5, 1), (1, 7, 3))
        self.only(s, "lost-write")

    def test_a4_a_transaction_of_unknown_outcome_of_which_nothing_is_read_is_no_torn_commit(self):
        self.passes(Script().txn("a", 1, (0, 1, 5), (1, 2, 5), outcome="info").txn("a", 2, (1, 3, 7)).poll("r", (1, 7, 3)))

    def test_b11_a_record_that_the_last_reader_does_not_find_is_unseen(self):
        s = Script().txn("a", 1, (0, 1, 5)).line("r", "final")
        self.only(s, "unseen")

    def test_b11_a_record_is_not_unseen_before_a_reader_has_come_to_the_end(self):
        self.passes(Script().txn("a", 1, (0, 1, 5)))

    def test_a4_a_torn_commit_whose_half_has_no_offset_is_unseen(self):
        s = Script().txn("a", 1, (0, 1, 5), (1, 2), outcome="info").poll("r", (0, 5, 1)).line("r", "final")
        self.only(s, "unseen")

    def test_b6_a_read_uncommitted_reader_that_misses_an_aborted_record_is_told(self):
        s = Script().start("u", isolation="read_uncommitted").txn("a", 1, (0, 1, 5), outcome="fail", wanted="abort")
        self.only(s.line("u", "final"), "unseen")

    def test_b6_a_read_uncommitted_reader_that_sees_an_aborted_record_is_right(self):
        s = Script().start("u", isolation="read_uncommitted").txn("a", 1, (0, 1, 5), outcome="fail", wanted="abort")
        self.passes(s.poll("u", (0, 5, 1)).line("u", "final"))

    def test_b1_a_read_of_an_aborted_record_is_g1a(self):
        self.only(Script().txn("a", 1, (0, 1, 5), outcome="fail", wanted="abort").poll("r", (0, 5, 1)), "g1a")

    def test_b1_a_read_of_a_transaction_of_unknown_outcome_is_not(self):
        self.passes(Script().txn("a", 1, (0, 1, 5), outcome="info").poll("r", (0, 5, 1)))

    def test_a5_a_read_of_a_transaction_whose_commit_was_never_asked_for_is_g1a(self):
        self.only(Script().begin("a", 1).send("a", 1, 0, 1, 5).poll("r", (0, 5, 1)), "g1a")

    def test_a1_a_commit_that_failed_and_was_then_aborted_must_not_be_read(self):
        s = Script().begin("a", 1).send("a", 1, 0, 1, 5).end("a", 1, None).end("a", 1, "fail", "abort").poll("r", (0, 5, 1))
        self.only(s, "g1a")

    def test_a1_a_commit_that_failed_and_whose_abort_failed_too_may_be_read(self):
        s = Script().begin("a", 1).send("a", 1, 0, 1, 5).end("a", 1, None).end("a", 1, "info", "abort").poll("r", (0, 5, 1))
        self.passes(s)

    def test_b8_a_transaction_that_reads_its_own_record_is_told(self):
        s = Script().begin("a", 1).send("a", 1, 0, 1, 5).poll("a", (0, 5, 1), n=1).end("a", 1)
        self.only(s, "precommitted-read")

    def test_b8_a_transaction_that_reads_an_earlier_one_of_its_process_is_right(self):
        self.passes(Script().txn("a", 1, (0, 1, 5)).begin("a", 2).poll("a", (0, 5, 1), n=2).end("a", 2))

    def test_b1_a_record_read_before_its_commit_is_asked_for_is_told(self):
        s = Script().begin("a", 1).send("a", 1, 0, 1, 5).poll("r", (0, 5, 1)).end("a", 1)
        self.only(s, "precommitted-read")

    def test_b1_a_record_read_before_its_commit_is_answered_is_right(self):
        s = Script().begin("a", 1).send("a", 1, 0, 1, 5).end("a", 1, None).poll("r", (0, 5, 1)).line("a", "ok", n=1)
        self.passes(s)

    # --- order ---

    def reads(self, *polls, n=None, reset=None):
        """Three committed records at 5, 6, 8, all read by q; then r reads these offsets, poll by poll."""
        s = Script().txn("a", 1, (0, 1, 5)).txn("a", 2, (0, 2, 6)).txn("a", 3, (0, 3, 8))
        s.poll("q", (0, 5, 1), (0, 6, 2), (0, 8, 3))
        if n:
            s.begin("r", n)
        value = {5: 1, 6: 2, 8: 3}
        for number, poll in enumerate(polls):
            if number == reset:
                s.line("r", "reset", at=[0])
            s.poll("r", *((0, o, value[o]) for o in poll), n=n)
        return s.end("r", n) if n else s

    def test_b15_a_reader_that_passes_over_a_record_skips(self):
        self.only(self.reads([5], [8]), "poll-skip")

    def test_b15_a_reader_that_passes_over_an_offset_without_a_record_does_not_skip(self):
        self.passes(self.reads([6], [8]))

    def test_b15_a_reader_may_skip_after_its_position_was_set(self):
        self.passes(self.reads([5], [8], reset=1))

    def test_b15_a_skip_within_one_operation_is_told_as_that(self):
        self.only(self.reads([5, 8], n=1), "int-poll-skip")

    def test_b15_a_reader_within_one_operation_that_skips_nothing_is_right(self):
        self.passes(self.reads([5, 6], [8], n=1))

    def test_b15_a_reader_that_goes_back_is_told(self):
        self.only(self.reads([5, 6], [5]), "nonmonotonic-poll")

    def test_b15_a_reader_may_go_back_after_its_position_was_set(self):
        self.passes(self.reads([5, 6], [5], reset=1))

    def test_b15_a_reader_that_gets_a_record_again_is_told(self):
        self.only(self.reads([5, 6], [6]), "nonmonotonic-poll")

    def test_b15_a_step_back_within_one_operation_is_told_as_that(self):
        self.only(self.reads([5, 6], [5], n=1), "int-nonmonotonic-poll")

    def test_b15_a_step_back_in_another_partition_is_none(self):
        s = self.reads([8]).txn("a", 4, (1, 4, 2))
        self.passes(s.poll("r", (1, 2, 4)))

    def test_sends_of_one_transaction_that_change_places_are_told(self):
        self.only(Script().txn("a", 1, (0, 1, 6), (0, 2, 5)), "int-nonmonotonic-send")

    def test_sends_of_one_transaction_to_two_partitions_have_no_order(self):
        self.passes(Script().txn("a", 1, (0, 1, 6), (1, 2, 5)))

    def test_a_transaction_that_lands_before_an_earlier_one_is_told(self):
        self.only(Script().txn("a", 1, (0, 1, 6)).txn("a", 2, (0, 2, 5)), "nonmonotonic-send")

    def test_transactions_of_two_processes_have_no_order(self):
        self.passes(Script().txn("a", 1, (0, 1, 6)).txn("b", 1, (0, 2, 5)))

    # --- cycles ---

    def circle(self, second):
        """a writes 1 and reads 2, b writes 2 and then reads `second`."""
        s = Script().txn("c", 1, (2, 3, 0)).begin("a", 1).begin("b", 1).send("a", 1, 0, 1, 5).send("b", 1, 1, 2, 5)
        s.line("a", "end", n=1, **{"as": "commit"}).line("b", "end", n=1, **{"as": "commit"})
        return s.poll("a", (1, 5, 2), n=1).poll("b", second, n=1).line("a", "ok", n=1).line("b", "ok", n=1)

    def test_b9_two_transactions_that_read_from_each_other_are_g1c(self):
        self.only(self.circle((0, 5, 1)), "g1c")

    def test_b9_two_transactions_of_which_one_reads_from_a_third_are_not(self):
        self.passes(self.circle((2, 0, 3)))

    def test_b9_a_circle_that_needs_the_order_of_writes_is_counted_and_allowed(self):
        s = Script().begin("a", 1).begin("b", 1).send("a", 1, 0, 1, 5).send("b", 1, 0, 2, 6)
        s.send("b", 1, 1, 3, 5).send("a", 1, 1, 4, 6)
        s.end("a", 1).end("b", 1)
        self.passes(s)
        self.assertEqual(rules.check(history.build(s.lines))[1]["ww-cycles"], 1)

    def test_b9_records_of_others_between_those_of_one_transaction_are_counted_and_allowed(self):
        s = Script().begin("a", 1).send("a", 1, 0, 1, 5).txn("b", 1, (0, 2, 6)).send("a", 1, 0, 3, 7).end("a", 1)
        self.passes(s)
        self.assertEqual(rules.check(history.build(s.lines))[1]["int-send-skip"], 1)

    # --- offsets of groups ---

    def moved(self, n, offset, outcome="ok", wanted="commit", script=None):
        s = script or Script()
        return s.begin("a", n).offsets("a", n, "g", p0=offset).end("a", n, outcome, wanted)

    def test_d2_an_offset_that_is_not_there_after_its_commit_is_stale(self):
        s = self.moved(2, 9, script=self.moved(1, 5))
        self.only(s.committed("g", p0=5), "stale-offset")

    def test_d2_an_offset_asked_for_before_the_commit_was_answered_may_be_the_old_one(self):
        s = self.moved(1, 5).begin("a", 2).offsets("a", 2, "g", p0=9).end("a", 2, None)
        asked = s.t + 1
        s.line("a", "ok", n=2)
        self.passes(s.committed("g", began=asked, p0=5))

    def test_d1_an_offset_of_an_aborted_transaction_is_told(self):
        self.only(self.moved(2, 9, "fail", "abort", self.moved(1, 5)).committed("g", p0=9), "stale-offset")

    def test_d1_an_offset_of_a_transaction_of_unknown_outcome_may_be_there(self):
        self.passes(self.moved(2, 9, "info", "commit", self.moved(1, 5)).committed("g", p0=9))

    def test_d1_no_offset_after_a_commit_is_told(self):
        self.only(self.moved(1, 5).committed("g", p0=-1), "stale-offset")

    def test_d1_no_offset_after_an_abort_is_right(self):
        self.passes(self.moved(1, 5, "fail", "abort").committed("g", p0=-1))

    def test_d4_an_offset_that_goes_back_is_told(self):
        s = self.moved(2, 9, "info", "commit", self.moved(1, 5, "info")).committed("g", p0=9).committed("g", p0=5)
        self.only(s, "offset-back")

    def test_d4_offsets_asked_for_at_the_same_time_have_no_order(self):
        s = self.moved(2, 9, "info", "commit", self.moved(1, 5, "info")).committed("g", p0=9)
        self.passes(s.committed("g", began=s.t, p0=5))

    def group(self, *txns):
        """Subscribers a and b; records 1 and 2 at 5 and 6; txns: (process, n, outcome, wanted, offsets read)."""
        s = Script().txn("w", 1, (0, 1, 5)).txn("w", 2, (0, 2, 6)).poll("q", (0, 5, 1), (0, 6, 2))
        for name in "ab":
            s.start(name, consume="subscribe", group="g")
        for process, n, outcome, wanted, offsets in txns:
            s.line(process, "reset", at=[0]).begin(process, n)
            s.poll(process, *((0, o, o - 4) for o in offsets), n=n)
            s.offsets(process, n, "g", p0=max(offsets) + 1).end(process, n, outcome, wanted)
        return s

    def test_a6_a_record_that_two_members_processed_is_told(self):
        s = self.group(("a", 1, "ok", "commit", [5]), ("b", 1, "ok", "commit", [5, 6]))
        self.only(s, "reprocessed")

    def test_a6_a_record_that_was_processed_again_after_an_abort_is_right(self):
        self.passes(self.group(("a", 1, "fail", "abort", [5]), ("b", 1, "ok", "commit", [5, 6])))

    def test_d3_a_record_that_was_committed_and_never_processed_is_told(self):
        self.only(self.group(("a", 1, "fail", "abort", [5]), ("b", 1, "ok", "commit", [6])), "unprocessed")

    def test_d3_a_record_that_one_member_and_one_of_unknown_outcome_processed_is_right(self):
        self.passes(self.group(("a", 1, "info", "commit", [5]), ("b", 1, "ok", "commit", [6])))

    # --- liveness ---

    def after(self, seconds, healed=True):
        s = Script().line("n", "fault")
        if healed:
            s.line("n", "healed")
        s.t += seconds * 1_000_000_000
        s.txn("a", 1, (0, 1, 5))
        s.t += 60_000_000_000
        return s.line("n", "over")

    def test_nothing_within_20_s_after_the_faults_is_told(self):
        self.only(self.after(21), "no-progress")

    def test_success_within_20_s_is_progress(self):
        self.passes(self.after(19))

    def test_nothing_has_to_succeed_during_a_fault(self):
        self.passes(self.after(21, healed=False))

    def test_b3_a_last_stable_offset_that_stays_behind_is_told(self):
        self.only(Script().line("x", "ends", at={"0": [4, 5]}), "stuck-offset")

    def test_b3_a_last_stable_offset_at_the_end_is_right(self):
        self.passes(Script().line("x", "ends", at={"0": [5, 5]}))

    def test_b3_a_transaction_that_outlives_its_timeout_is_told(self):
        self.only(Script().line("x", "open", id="t", age_ms=20_001, timeout_ms=10_000), "open-transaction")

    def test_b3_a_transaction_that_is_10_s_over_its_timeout_may_be_ending(self):
        self.passes(Script().line("x", "open", id="t", age_ms=20_000, timeout_ms=10_000))


class Reading(unittest.TestCase):
    def test_every_rule_has_a_history_that_breaks_it(self):
        source = pathlib.Path(__file__).read_text()
        self.assertEqual([name for name in rules.RULES if f'"{name}")' not in source], [])

    def test_a_torn_last_line_of_a_killed_client_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a"
            whole = json.dumps({"t": 1, "p": "a", "e": "begin", "n": 1, "txn": True}) + "\n"
            path.write_text(whole + '{"t": 2, "p": "a", "e": "se')
            self.assertEqual([op.outcome for op in history.read([path]).ops.values()], ["fail"])

    def test_files_are_merged_by_time(self):
        with tempfile.TemporaryDirectory() as folder:
            first, second = pathlib.Path(folder) / "a", pathlib.Path(folder) / "b"
            s = Script().begin("a", 1).send("a", 1, 0, 1, 5).poll("r", (0, 5, 1)).end("a", 1)
            first.write_text("".join(json.dumps(line) + "\n" for line in s.lines if line["p"] == "a"))
            second.write_text("".join(json.dumps(line) + "\n" for line in s.lines if line["p"] == "r"))
            found = {rule for rule, _ in rules.check(history.read([second, first]))[0]}
            self.assertEqual(found, {"precommitted-read"})

    def test_a_line_of_an_unknown_kind_is_refused(self):
        with self.assertRaises(history.Malformed):
            history.build([{"t": 1, "p": "a", "e": "bogus"}])

    def test_an_end_without_a_beginning_is_refused(self):
        with self.assertRaises(history.Malformed):
            history.build([{"t": 1, "p": "a", "e": "ok", "n": 1}])


if __name__ == "__main__":
    unittest.main()
