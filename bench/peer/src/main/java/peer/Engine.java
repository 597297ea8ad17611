package peer;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KafkaStreams.State;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** One running job: starts it, counts what it has seen, tells what it has committed. */
final class Engine implements AutoCloseable {
    private final Admin admin;
    private final String input, application;
    private final KafkaStreams streams;
    private final LongAdder seen = new LongAdder();
    private final CountDownLatch running = new CountDownLatch(1);
    private final Runnable atFirstRecord;
    private volatile long firstRecordAt; // nanoTime; 0: there was none yet
    private volatile Throwable failure;

    /** atFirstRecord runs in the thread that has the first record, before it is processed. */
    Engine(Settings s, Admin admin, Job job, String input, String application, Runnable atFirstRecord) {
        this.admin = admin;
        this.input = input;
        this.application = application;
        this.atFirstRecord = atFirstRecord;
        streams = new KafkaStreams(job.topology(input, this::count), config(s));
        streams.setUncaughtExceptionHandler(e -> {
            failure = e;
            running.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            if (now == State.RUNNING) {
                running.countDown();
            }
        });
    }

    private Properties config(Settings s) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, s.bootstrap());
        p.put(StreamsConfig.STATE_DIR_CONFIG, s.text("state", System.getProperty("java.io.tmpdir") + "/peer-state"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, s.text("guarantee", StreamsConfig.EXACTLY_ONCE_V2));
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, (int) s.number("threads", 1));
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, s.number("commit-ms", 100));
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, s.number("cache-bytes", 0));
        p.put("auto.offset.reset", "earliest");
        String member = s.text("member", "");
        if (!member.isEmpty()) {
            p.put("group.instance.id", member);
        }
        return p;
    }

    private void count() {
        if (firstRecordAt == 0) {
            synchronized (this) {
                if (firstRecordAt == 0) {
                    atFirstRecord.run();
                    firstRecordAt = System.nanoTime();
                }
            }
        }
        seen.increment();
    }

    void start() {
        streams.start();
    }

    void awaitRunning() throws Exception {
        if (!running.await(120, TimeUnit.SECONDS)) {
            throw new IllegalStateException("the job does not start");
        }
        failIfFailed();
    }

    private void failIfFailed() {
        if (failure != null) {
            throw new IllegalStateException("the job failed", failure);
        }
    }

    long firstRecordAt() {
        return firstRecordAt;
    }

    /** The sum of the committed offsets of a topic, transactions that are still open left out. */
    private long committed(String topic) throws Exception {
        List<TopicPartition> all = Settings.partitions(topic);
        return admin.listConsumerGroupOffsets(
                Map.of(application, new ListConsumerGroupOffsetsSpec().topicPartitions(all)),
                new ListConsumerGroupOffsetsOptions().requireStable(true))
            .partitionsToOffsetAndMetadata(application).get()
            .values().stream().mapToLong(o -> o == null ? 0 : o.offset()).sum();
    }

    /** Waits until the committed offsets of the input reach target; the job has to see expected records for that. */
    void awaitCommitted(long target, long expected) throws Exception {
        while (seen.sum() < expected) {
            failIfFailed();
            Thread.sleep(5);
        }
        await(input, target);
        for (String topic : admin.listTopics().names().get()) {
            if (topic.startsWith(application) && topic.endsWith("-repartition")) {
                await(topic, Topics.size(admin, topic));
            }
        }
    }

    private void await(String topic, long target) throws Exception {
        while (committed(topic) < target) {
            failIfFailed();
            Thread.sleep(2);
        }
    }

    @Override
    public void close() {
        streams.close(Duration.ofSeconds(20));
    }
}
