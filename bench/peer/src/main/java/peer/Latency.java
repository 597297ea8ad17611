package peer;

import java.io.BufferedReader;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * A producer at a fixed rate, the job, and a read_committed consumer of its output, all in this process. The latency of an
 * output is the time from the moment its record was due to be sent until the consumer has it. A job hands a record's
 * timestamp on, and the timestamp tells which record it was. The first quarter of the time is not counted.
 */
final class Latency {
    private final Settings settings;
    private final Job job;
    private final long rate, count, counted;
    private final int lingerMs;
    private final String input;
    private long began;
    private long[] latencies = new long[1 << 16];
    private int size;

    private Latency(Job job, Settings s) {
        this.settings = s;
        this.job = job;
        rate = s.number("rate", 2000);
        count = rate * s.number("seconds", 20);
        counted = count / 4;
        lingerMs = (int) s.number("linger-ms", 5);
        input = s.text("input", "in-latency");
    }

    static void run(Job job, Settings s) throws Exception {
        new Latency(job, s).run();
    }

    private long due(long i) {
        return began + i * 1_000_000_000L / rate;
    }

    private void feed() throws Exception {
        BufferedReader lines = Fill.lines();
        try (KafkaProducer<byte[], byte[]> producer = Fill.producer(settings, lingerMs)) {
            for (long i = 0; i < count; i++) {
                ProducerRecord<byte[], byte[]> r = Fill.next(lines, input, i);
                if (r == null) {
                    throw new IllegalStateException("only " + i + " lines for " + count + " records");
                }
                for (long wait = due(i) - System.nanoTime(); wait > 0; wait = due(i) - System.nanoTime()) {
                    LockSupport.parkNanos(wait);
                }
                producer.send(r);
            }
        }
    }

    private void take(ConsumerRecord<byte[], byte[]> r) {
        long i = r.timestamp() - Settings.TIME_BASE;
        if (i < counted) {
            return;
        }
        if (size == latencies.length) {
            latencies = Arrays.copyOf(latencies, 2 * size);
        }
        latencies[size++] = System.nanoTime() - due(i);
    }

    private double quantileMs(double q) {
        return size == 0 ? Double.NaN : latencies[(int) Math.ceil(q * size) - 1] / 1e6;
    }

    private void run() throws Exception {
        String application = "peer-latency-" + job + "-" + System.currentTimeMillis();
        Usage self = Usage.ofSelf(), broker = new Usage(settings.brokerPid());
        List<TopicPartition> outputs = Settings.partitions(job.outputs);
        AtomicReference<Exception> failure = new AtomicReference<>();
        Thread feeder = new Thread(() -> {
            try {
                feed();
            } catch (Exception e) {
                failure.set(e);
            }
        });
        try (Admin admin = settings.admin(); KafkaConsumer<byte[], byte[]> reader = settings.reader()) {
            Topics.renew(admin, List.of(input));
            Topics.renew(admin, job.outputs);
            try (Engine engine = new Engine(settings, admin, job, input, application, () -> { })) {
                settings.refuseUnread();
                reader.assign(outputs);
                reader.seekToBeginning(outputs);
                engine.start();
                engine.awaitRunning();
                self.start();
                broker.start();
                began = System.nanoTime() + 100_000_000L;
                feeder.start();
                long end = due(count) + 1_000_000_000L;
                while (System.nanoTime() < end) {
                    reader.poll(Duration.ofMillis(20)).forEach(this::take);
                }
                feeder.join();
                report(self, broker);
            }
            Topics.deleteWithPrefix(admin, application);
        }
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    private void report(Usage self, Usage broker) {
        Arrays.sort(latencies, 0, size);
        System.out.printf("latency job=%s engine=kafka rate=%d records=%d counted=%d p50_ms=%.2f p99_ms=%.2f max_ms=%.2f"
                + " cpu_s_per_M=%.1f broker_cpu_s_per_M=%.1f%n",
            job, rate, count, size, quantileMs(.5), quantileMs(.99), quantileMs(1),
            self.seconds() / (count / 1e6), broker.seconds() / (count / 1e6));
    }
}
