package peer;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.Executors;
import java.util.stream.LongStream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Transactions one after the other, by producers with the client's defaults: a record into every partition of a topic that is
 * there, flush, commit. Every producer first makes a quarter of its number for nothing, so that the JVM has compiled what it
 * runs; then all begin to count at once.
 */
final class Transactions {
    private final Settings settings;
    private final String topic;
    private final int partitions, producers, rounds;
    private final byte[] value;
    private final long[][] commits, wholes; // of each producer, nanoseconds
    private final Usage broker, client = Usage.ofSelf();
    private final CyclicBarrier start;
    private volatile long began;

    private Transactions(String topic, Settings s) {
        settings = s;
        this.topic = topic;
        partitions = (int) s.number("partitions", 8);
        producers = (int) s.number("producers", 1);
        rounds = (int) s.number("rounds", 2000);
        value = new byte[(int) s.number("size", 16384)];
        new Random(1).nextBytes(value); // so that nobody can compress it
        Arrays.setAll(commits = new long[producers][], i -> new long[rounds]);
        Arrays.setAll(wholes = new long[producers][], i -> new long[rounds]);
        broker = new Usage(s.brokerPid());
        start = new CyclicBarrier(producers, () -> {
            broker.start();
            client.start();
            began = System.nanoTime();
        });
    }

    static void run(String topic, Settings s) throws Exception {
        new Transactions(topic, s).run();
    }

    private KafkaProducer<byte[], byte[]> producer(int number) {
        return new KafkaProducer<>(Map.of(
                ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, settings.bootstrap(),
                ProducerConfig.TRANSACTIONAL_ID_CONFIG, topic + "-" + number),
            new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** How long the commit took, and when it began. */
    private long[] transact(KafkaProducer<byte[], byte[]> producer) {
        producer.beginTransaction();
        for (int p = 0; p < partitions; p++) {
            producer.send(new ProducerRecord<>(topic, p, null, value));
        }
        producer.flush();
        long flushed = System.nanoTime();
        producer.commitTransaction();
        return new long[] {System.nanoTime() - flushed, flushed};
    }

    private Void work(int number) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(number)) {
            producer.initTransactions();
            for (int i = 0; i < rounds / 4; i++) {
                transact(producer);
            }
            start.await();
            for (int i = 0; i < rounds; i++) {
                long first = System.nanoTime();
                long[] took = transact(producer);
                commits[number][i] = took[0];
                wholes[number][i] = took[1] + took[0] - first;
            }
        }
        return null;
    }

    private void run() throws Exception {
        settings.bootstrap();
        settings.refuseUnread();
        var running = new ExecutorCompletionService<Void>(Executors.newFixedThreadPool(producers));
        for (int i = 0; i < producers; i++) {
            int number = i;
            running.submit(() -> work(number));
        }
        for (int i = 0; i < producers; i++) {
            running.take().get(); // the first that fails ends it: the others may wait for it at the start
        }
        report((System.nanoTime() - began) / 1e9, (double) producers * rounds);
    }

    private void report(double seconds, double count) {
        long[] commit = sorted(commits), whole = sorted(wholes);
        System.out.printf("transactions=%.0f size=%d partitions=%d producers=%d seconds=%.3f txns_per_s=%.1f p50_us=%.1f"
                + " p99_us=%.1f whole_p50_us=%.1f whole_p99_us=%.1f client_cpu_s_per_M=%.1f server_cpu_s_per_M=%.1f%n",
            count, value.length, partitions, producers, seconds, count / seconds, quantile(commit, .5), quantile(commit, .99),
            quantile(whole, .5), quantile(whole, .99), client.seconds() / (count / 1e6), broker.seconds() / (count / 1e6));
    }

    private static long[] sorted(long[][] parts) {
        return Arrays.stream(parts).flatMapToLong(LongStream::of).sorted().toArray();
    }

    private static double quantile(long[] sorted, double q) {
        return sorted[(int) Math.ceil(q * sorted.length) - 1] / 1e3;
    }
}
