package peer;

import org.apache.kafka.clients.admin.Admin;

/** Runs a job until it is killed; says when the input that was there at the start is processed and committed. */
final class Serve {
    private Serve() {
    }

    /** --since-ns: the wall clock, in ns, when the process was asked for: times count from there. */
    static void run(Job job, Settings s) throws Exception {
        String input = s.text("input", "in");
        s.brokerPid(); // given to every job; not needed here
        long since = s.number("since-ns", System.currentTimeMillis() * 1_000_000L);
        try (Admin admin = s.admin()) {
            if (!s.flag("keep")) {
                Topics.renew(admin, job.outputs);
            }
            long records = Topics.size(admin, input), fresh = s.number("fresh", records);
            double[] first = new double[1];
            try (Engine engine = new Engine(s, admin, job, input, s.text("application", "peer-serve"),
                () -> first[0] = elapsed(since))) {
                s.refuseUnread();
                engine.start();
                engine.awaitCommitted(records, fresh);
                double committed = elapsed(since);
                Check.run(s, job, input);
                System.out.printf("settled job=%s records=%d first_record_s=%.3f committed_s=%.3f checked=1%n",
                    job, fresh, first[0], committed);
                Thread.sleep(Long.MAX_VALUE);
            }
        }
    }

    private static double elapsed(long since) {
        return System.currentTimeMillis() / 1e3 - since / 1e9;
    }
}
