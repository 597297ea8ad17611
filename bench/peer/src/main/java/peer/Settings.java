package peer;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** What the command line said, as "--name value" pairs, and the clients that follow from it. */
final class Settings {
    /** Record i of the input has the timestamp TIME_BASE + i. */
    static final long TIME_BASE = 1_700_000_000_000L;
    static final int PARTITIONS = 4;

    private final Map<String, String> values = new HashMap<>();
    private final TreeSet<String> unread = new TreeSet<>();

    Settings(List<String> arguments) {
        if (arguments.size() % 2 != 0) {
            throw new IllegalArgumentException("an option lacks its value: " + arguments);
        }
        for (int i = 0; i < arguments.size(); i += 2) {
            if (!arguments.get(i).startsWith("--")) {
                throw new IllegalArgumentException("not an option: " + arguments.get(i));
            }
            values.put(arguments.get(i).substring(2), arguments.get(i + 1));
        }
        unread.addAll(values.keySet());
    }

    String text(String name, String fallback) {
        unread.remove(name);
        return values.getOrDefault(name, fallback);
    }

    long number(String name, long fallback) {
        return Long.parseLong(text(name, Long.toString(fallback)));
    }

    boolean flag(String name) {
        return number(name, 0) != 0;
    }

    /** To be called once everything was asked for: a misspelt option must not pass silently. */
    void refuseUnread() {
        if (!unread.isEmpty()) {
            throw new IllegalArgumentException("unknown options: " + unread);
        }
    }

    String bootstrap() {
        return text("bootstrap", "127.0.0.1:19092");
    }

    long brokerPid() {
        return number("broker-pid", 0);
    }

    Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap()));
    }

    /** A consumer without a group, which sees committed records only. */
    KafkaConsumer<byte[], byte[]> reader() {
        return new KafkaConsumer<>(Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap(),
                ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed",
                ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false",
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest"),
            new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static List<TopicPartition> partitions(String topic) {
        return java.util.stream.IntStream.range(0, PARTITIONS).mapToObj(p -> new TopicPartition(topic, p)).toList();
    }

    static List<TopicPartition> partitions(List<String> topics) {
        return topics.stream().flatMap(t -> partitions(t).stream()).toList();
    }
}
