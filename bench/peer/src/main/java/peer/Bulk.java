package peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.kafka.clients.admin.Admin;

/** A job over an input that is there: seconds from its first record until all of it is committed. */
final class Bulk {
    private Bulk() {
    }

    static void run(Job job, Settings s) throws Exception {
        String input = s.text("input", "in"), application = "peer-" + job + "-" + System.currentTimeMillis();
        Usage self = Usage.ofSelf(), broker = new Usage(s.brokerPid());
        long threads = s.number("threads", 1), records;
        boolean check = s.number("check", 1) != 0;
        try (Admin admin = s.admin()) {
            records = Topics.size(admin, input);
            if (records == 0) {
                throw new IllegalStateException("the topic " + input + " is empty: fill it first");
            }
            Topics.renew(admin, job.outputs);
            try (Engine engine = new Engine(s, admin, job, input, application, () -> begin(self, broker))) {
                s.refuseUnread();
                engine.start();
                engine.awaitCommitted(records, records);
                double seconds = (System.nanoTime() - engine.firstRecordAt()) / 1e9, millions = records / 1e6;
                System.out.printf("job=%s engine=kafka threads=%d records=%d seconds=%.3f records_per_s=%.0f"
                        + " cpu_s_per_M=%.2f broker_cpu_s_per_M=%.2f peak_rss_MB=%d broker_peak_rss_MB=%d",
                    job, threads, records, seconds, records / seconds, self.seconds() / millions,
                    broker.seconds() / millions, self.peakMegabytes(), broker.peakMegabytes());
            }
            Topics.deleteWithPrefix(admin, application);
            System.out.printf(" outputs=%s%n", check ? Check.run(s, job, input) + " checked=1" : "? checked=0");
        }
    }

    private static void begin(Usage self, Usage broker) {
        try {
            broker.forgetPeak();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        self.start();
        broker.start();
    }
}
