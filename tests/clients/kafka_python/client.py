"""The steps with kafka-python, a client written in Python."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import steps  # noqa: E402
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition  # noqa: E402
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata  # noqa: E402


class Consumer:
    def __init__(self, bootstrap, group, isolation):
        self.kafka = KafkaConsumer(
            bootstrap_servers=bootstrap, group_id=group, isolation_level=isolation, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=500)

    def subscribe(self, topic):
        self.topic = topic
        self.kafka.subscribe([topic])

    def assign(self, topic, partitions):
        self.topic = topic
        self.kafka.assign([TopicPartition(topic, p) for p in partitions])

    def poll(self):
        # A call that ends in the middle of a rebalance can leave this client with its old assignment for good, so it
        # gets the time that one takes.
        batches = self.kafka.poll(timeout_ms=1000)
        return [steps.Record(r.partition, r.offset, r.key, r.value, list(r.headers), r.timestamp)
                for records in batches.values() for r in records]

    def assigned(self):
        return {tp.partition for tp in self.kafka.assignment()}

    def commit(self, offsets):
        self.kafka.commit({TopicPartition(self.topic, p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()})

    def committed(self, partition):
        return self.kafka.committed(TopicPartition(self.topic, partition))

    def close(self):
        self.kafka.close()


class KafkaPython(steps.Client):
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def create_topics(self, names):
        self.admin.create_topics({n: {"num_partitions": steps.PARTITIONS, "replication_factor": 1} for n in names})

    def partitions(self, topic):
        if topic not in self.admin.list_topics():
            return 0
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def produce(self, topic, codec, records):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True,
                                 compression_type=None if codec == "none" else codec)
        self.send(producer, topic, records)
        producer.close()

    @staticmethod
    def send(producer, topic, records):
        futures = [producer.send(topic, key=r.key, value=r.value, headers=r.headers, partition=r.partition,
                                 timestamp_ms=r.timestamp_ms) for r in records]
        producer.flush()
        for future in futures:
            future.get(timeout=steps.LIMIT_S)

    def consumer(self, group, isolation="read_committed", protocol="classic"):
        return Consumer(self.bootstrap, group, isolation)

    def transactional(self, transactional_id):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=transactional_id)
        producer.init_transactions()
        return producer

    def transaction(self, producer, topic, records, group, offset, commit):
        producer.begin_transaction()
        self.send(producer, topic, records)
        producer.send_offsets_to_transaction(
            {TopicPartition(topic, 0): OffsetAndMetadata(offset, "", -1)}, ConsumerGroupMetadata(group))
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()

    def close(self):
        self.admin.close()


steps.run(KafkaPython)
