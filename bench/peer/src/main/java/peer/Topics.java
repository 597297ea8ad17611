package peer;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Making topics, emptying them, finding their ends. */
final class Topics {
    private Topics() {
    }

    /**
     * Afterwards the topics exist, are empty, and answer: a producer that meets a partition before its leader does may keep
     * a batch back for ever. The records are of 2023, so nothing may expire.
     */
    static void renew(Admin admin, Collection<String> topics) throws Exception {
        Set<String> there = new TreeSet<>(topics);
        there.retainAll(admin.listTopics().names().get());
        admin.deleteTopics(there).all().get();
        Map<String, String> config = Map.of("retention.ms", "-1");
        for (String topic : topics) {
            NewTopic wanted = new NewTopic(topic, Settings.PARTITIONS, (short) 1).configs(config);
            // A deleted topic stays for a moment after its deletion was acknowledged.
            insist(TopicExistsException.class, () -> admin.createTopics(Set.of(wanted)).all().get());
            insist(UnknownTopicOrPartitionException.class, () -> size(admin, topic));
        }
    }

    /** Does it again while it fails in the way that passes by itself, for five seconds at most. */
    private static void insist(Class<? extends Exception> passing, Callable<?> action) throws Exception {
        for (int tries = 200;; tries--) {
            try {
                action.call();
                return;
            } catch (ExecutionException e) {
                if (tries == 0 || !passing.isInstance(e.getCause())) {
                    throw e;
                }
            }
            Thread.sleep(25);
        }
    }

    static void deleteWithPrefix(Admin admin, String prefix) throws Exception {
        Set<String> mine = new TreeSet<>(admin.listTopics().names().get());
        mine.removeIf(name -> !name.startsWith(prefix));
        admin.deleteTopics(mine).all().get();
    }

    /** The sum of the end offsets: how many records the topic holds, if it was written without transactions. */
    static long size(Admin admin, String topic) throws Exception {
        List<TopicPartition> all = Settings.partitions(topic);
        Map<TopicPartition, OffsetSpec> question = new java.util.HashMap<>();
        all.forEach(p -> question.put(p, OffsetSpec.latest()));
        return admin.listOffsets(question).all().get().values().stream().mapToLong(ListOffsetsResultInfo::offset).sum();
    }
}
