package peer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Writes lines "key TAB value" of standard input to a topic: line i is record from + i. */
final class Fill {
    private Fill() {
    }

    static KafkaProducer<byte[], byte[]> producer(Settings s, int lingerMs) {
        return new KafkaProducer<>(Map.of("bootstrap.servers", s.bootstrap(), "linger.ms", lingerMs,
            "batch.size", 65536, "delivery.timeout.ms", 30_000 + lingerMs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static BufferedReader lines() {
        return new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8), 1 << 20);
    }

    /** Null at the end of the lines. */
    static ProducerRecord<byte[], byte[]> next(BufferedReader lines, String topic, long i) throws IOException {
        String line = lines.readLine();
        if (line == null) {
            return null;
        }
        int tab = line.indexOf('\t');
        return new ProducerRecord<>(topic, null, Settings.TIME_BASE + i,
            line.substring(0, tab).getBytes(StandardCharsets.UTF_8),
            line.substring(tab + 1).getBytes(StandardCharsets.UTF_8));
    }

    static void run(String topic, Settings s) throws Exception {
        long from = s.number("from", 0), i = from, began = System.nanoTime();
        AtomicReference<Exception> failure = new AtomicReference<>();
        try (Admin admin = s.admin(); KafkaProducer<byte[], byte[]> producer = producer(s, 20)) {
            s.refuseUnread();
            if (from == 0) {
                Topics.renew(admin, List.of(topic));
            }
            BufferedReader lines = lines();
            for (ProducerRecord<byte[], byte[]> r = next(lines, topic, i); r != null; r = next(lines, topic, ++i)) {
                producer.send(r, (written, e) -> failure.compareAndSet(null, e));
            }
            producer.flush();
        }
        if (failure.get() != null) {
            throw failure.get();
        }
        System.out.printf("fill topic=%s records=%d seconds=%.2f%n", topic, i - from, (System.nanoTime() - began) / 1e9);
    }
}
