"""The steps with kafka-python 2, which many programs still have: no idempotence, no transactions."""
import concurrent.futures
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import steps  # noqa: E402
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition  # noqa: E402
from kafka.admin import NewTopic  # noqa: E402
from kafka.structs import OffsetAndMetadata  # noqa: E402


class Consumer:
    """A thread of its own for each: while a group is rebalanced a poll of this client ends only when all members have
    joined, whatever its timeout is."""

    def __init__(self, bootstrap, group):
        self.thread, self.polling = concurrent.futures.ThreadPoolExecutor(1), None
        self.kafka = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                                   enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=500)

    def call(self, function, *args):
        return self.thread.submit(function, *args).result(steps.LIMIT_S)

    def subscribe(self, topic):
        self.topic = topic
        self.call(self.kafka.subscribe, [topic])

    def assign(self, topic, partitions):
        self.topic = topic
        self.call(self.kafka.assign, [TopicPartition(topic, p) for p in partitions])

    def poll(self):
        """What the poll under way has brought; nothing while it lasts."""
        self.polling = self.polling or self.thread.submit(self.kafka.poll, timeout_ms=200)
        done, _ = concurrent.futures.wait([self.polling], timeout=0.5)
        if not done:
            return []
        batches, self.polling = self.polling.result(), None
        return [steps.Record(r.partition, r.offset, r.key, r.value, list(r.headers), r.timestamp)
                for records in batches.values() for r in records]

    def assigned(self):
        return {tp.partition for tp in self.kafka.assignment()}

    def commit(self, offsets):
        self.call(self.kafka.commit, {TopicPartition(self.topic, p): OffsetAndMetadata(o, "") for p, o in offsets.items()})

    def committed(self, partition):
        return self.call(self.kafka.committed, TopicPartition(self.topic, partition))

    def close(self):
        self.call(self.kafka.close)
        self.thread.shutdown()


class KafkaPython2(steps.Client):
    has_transactions = False

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def create_topics(self, names):
        self.admin.create_topics([NewTopic(name, steps.PARTITIONS, 1) for name in names])

    def partitions(self, topic):
        if topic not in self.admin.list_topics():
            return 0
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def produce(self, topic, codec, records):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", retries=0,
                                 compression_type=None if codec == "none" else codec)
        futures = [producer.send(topic, key=r.key, value=r.value, headers=r.headers, partition=r.partition,
                                 timestamp_ms=r.timestamp_ms) for r in records]
        producer.flush()
        for future in futures:
            future.get(timeout=steps.LIMIT_S)
        producer.close()

    def consumer(self, group, isolation="read_committed", protocol="classic"):
        return Consumer(self.bootstrap, group)

    def close(self):
        self.admin.close()


steps.run(KafkaPython2)
