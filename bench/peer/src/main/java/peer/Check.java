package peer;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;

/**
 * Holds a job's outputs against its input: nothing missing, nothing twice, nothing wrong. Values are looked at as text,
 * not with the parser that the job used.
 */
final class Check {
    private final Settings settings;
    private final Job job;
    /** What must be in each output, and what is: records by their ids, or the last count by key. */
    private final Map<String, Map<Long, Integer>> wantedIds = new TreeMap<>(), foundIds = new TreeMap<>();
    private final Map<String, Long> wantedCounts = new HashMap<>(), foundCounts = new HashMap<>();
    private final Set<Long> known = new HashSet<>();
    private long outputs;

    private Check(Settings s, Job job) {
        this.settings = s;
        this.job = job;
    }

    /** Returns the number of records in the outputs; throws if they are not what the input asks for. */
    static long run(Settings s, Job job, String input) {
        Check c = new Check(s, job);
        c.read(List.of(input), c::want);
        c.read(job.outputs, c::find);
        if (!c.wantedIds.equals(c.foundIds) || !c.wantedCounts.equals(c.foundCounts)) {
            throw new IllegalStateException("outputs of " + job + " are wrong: " + c.outputs + " records; ids in "
                + c.foundIds.keySet() + ", " + c.foundCounts.size() + " keys of " + c.wantedCounts.size());
        }
        return c.outputs;
    }

    private void read(List<String> topics, Consumer<ConsumerRecord<byte[], byte[]>> each) {
        List<TopicPartition> all = Settings.partitions(topics);
        try (KafkaConsumer<byte[], byte[]> reader = settings.reader()) {
            Map<TopicPartition, Long> ends = reader.endOffsets(all);
            reader.assign(all);
            reader.seekToBeginning(all);
            while (all.stream().anyMatch(p -> reader.position(p) < ends.get(p))) {
                reader.poll(Duration.ofMillis(100)).forEach(each);
            }
        }
    }

    /** The text between the first `before` and the next `after`. */
    private static String between(String s, String before, String after) {
        int from = s.indexOf(before) + before.length();
        return s.substring(from, s.indexOf(after, from));
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    private static long id(String value) {
        return Long.parseLong(between(value, "{\"id\":", ","));
    }

    private static void add(Map<String, Map<Long, Integer>> ids, String topic, long id) {
        ids.computeIfAbsent(topic, t -> new HashMap<>()).merge(id, 1, Integer::sum);
    }

    private void want(ConsumerRecord<byte[], byte[]> r) {
        String value = text(r.value());
        String type = between(value, "\"type\":\"", "\"");
        switch (job) {
            case PASS -> add(wantedIds, "out", id(value));
            case SPLIT -> {
                if (!type.equals("view")) {
                    add(wantedIds, type + "s", id(value));
                }
            }
            case DEDUP -> {
                if (known.add(id(value))) {
                    add(wantedIds, "unique", id(value));
                }
            }
            case COUNT -> wantedCounts.merge(text(r.key()), 1L, Long::sum);
            case REGROUP -> wantedCounts.merge(between(value, "\"sku\":\"", "\""), 1L, Long::sum);
        }
    }

    private void find(ConsumerRecord<byte[], byte[]> r) {
        outputs++;
        if (job == Job.COUNT || job == Job.REGROUP) {
            long count;
            try (LongDeserializer d = new LongDeserializer()) {
                count = d.deserialize(r.topic(), r.value());
            }
            if (count != foundCounts.merge(text(r.key()), 1L, Long::sum)) {
                throw new IllegalStateException("key " + text(r.key()) + " jumps to " + count);
            }
            return;
        }
        String value = text(r.value());
        if (job == Job.SPLIT && !between(value, "\"country\":\"", "\"").matches("[A-Z]{2}")) {
            throw new IllegalStateException("not in capitals: " + value);
        }
        add(foundIds, r.topic(), id(value));
    }
}
