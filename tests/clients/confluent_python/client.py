"""The steps with confluent-kafka, which is librdkafka with a Python face."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import steps  # noqa: E402
from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402


class TheConsumer:
    def __init__(self, bootstrap, group, isolation, protocol):
        config = {"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": isolation,
                  "auto.offset.reset": "earliest", "enable.auto.commit": False, "group.protocol": protocol}
        if protocol == "classic":
            config.update({"session.timeout.ms": 10000, "heartbeat.interval.ms": 500})
        self.kafka = Consumer(config)

    def subscribe(self, topic):
        self.topic = topic
        self.kafka.subscribe([topic])

    def assign(self, topic, partitions):
        self.topic = topic
        self.kafka.assign([TopicPartition(topic, p, 0) for p in partitions])

    def poll(self):
        messages = self.kafka.consume(100, timeout=0.1)
        for m in messages:
            steps.check(m.error() is None, f"poll: {m.error()}")
        return [steps.Record(m.partition(), m.offset(), m.key(), m.value(), m.headers() or [], m.timestamp()[1])
                for m in messages]

    def assigned(self):
        return {tp.partition for tp in self.kafka.assignment()}

    def commit(self, offsets):
        done = self.kafka.commit(offsets=[TopicPartition(self.topic, p, o) for p, o in offsets.items()], asynchronous=False)
        for tp in done:
            steps.check(tp.error is None, f"commit: {tp.error}")

    def committed(self, partition):
        return self.kafka.committed([TopicPartition(self.topic, partition)], timeout=steps.LIMIT_S)[0].offset

    def close(self):
        self.kafka.close()


class TheProducer(Producer):
    def close(self):
        steps.check(self.flush(steps.LIMIT_S) == 0, "flush: records are left")


class ConfluentKafka(steps.Client):
    group_protocols = ["classic", "consumer"]

    def __init__(self, bootstrap):
        self.config = {"bootstrap.servers": bootstrap}
        self.admin = AdminClient(self.config)

    def create_topics(self, names):
        for future in self.admin.create_topics([NewTopic(n, steps.PARTITIONS, 1) for n in names]).values():
            future.result(timeout=steps.LIMIT_S)

    def partitions(self, topic):
        topics = self.admin.list_topics(timeout=steps.LIMIT_S).topics
        return len(topics[topic].partitions) if topic in topics else 0

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])[topic].result(timeout=steps.LIMIT_S)

    def produce(self, topic, codec, records):
        producer = TheProducer({**self.config, "enable.idempotence": True, "compression.type": codec})
        self.send(producer, topic, records)

    @staticmethod
    def send(producer, topic, records):
        delivered = []
        for r in records:
            producer.produce(topic, key=r.key, value=r.value, headers=r.headers, timestamp=r.timestamp_ms,
                             partition=-1 if r.partition is None else r.partition,
                             on_delivery=lambda error, message: delivered.append(error))
        steps.check(producer.flush(steps.LIMIT_S) == 0, "flush: records are left")
        steps.check(delivered == [None] * len(records), f"{topic}: delivered {len(delivered)} records, {set(delivered)}")

    def consumer(self, group, isolation="read_committed", protocol="classic"):
        return TheConsumer(self.config["bootstrap.servers"], group, isolation, protocol)

    def transactional(self, transactional_id):
        producer = TheProducer({**self.config, "transactional.id": transactional_id})
        producer.init_transactions(steps.LIMIT_S)
        return producer

    def transaction(self, producer, topic, records, group, offset, commit):
        consumer = self.consumer(group)
        producer.begin_transaction()
        self.send(producer, topic, records)
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, 0, offset)], consumer.kafka.consumer_group_metadata(), steps.LIMIT_S)
        if commit:
            producer.commit_transaction(steps.LIMIT_S)
        else:
            producer.abort_transaction(steps.LIMIT_S)
        consumer.close()

    def close(self):
        pass


steps.run(ConfluentKafka)
