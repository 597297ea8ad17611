"""The steps with aiokafka, the asyncio client: every call runs the loop until it is done."""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import steps  # noqa: E402
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # noqa: E402
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # noqa: E402

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


def wait(coroutine):
    return loop.run_until_complete(asyncio.wait_for(coroutine, steps.LIMIT_S))


async def call(function, *args):
    """Some calls that wait for nothing still want to be made from a coroutine."""
    return function(*args)


async def make(cls, *args, **options):
    made = cls(*args, **options)
    await made.start()
    return made


class Consumer:
    def __init__(self, bootstrap, group, isolation):
        self.kafka = wait(make(
            AIOKafkaConsumer, bootstrap_servers=bootstrap, group_id=group, isolation_level=isolation,
            auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=500))

    def subscribe(self, topic):
        self.topic = topic
        wait(call(self.kafka.subscribe, [topic]))

    def assign(self, topic, partitions):
        self.topic = topic
        wait(call(self.kafka.assign, [TopicPartition(topic, p) for p in partitions]))

    def poll(self):
        batches = wait(self.kafka.getmany(timeout_ms=100))
        return [steps.Record(r.partition, r.offset, r.key, r.value, list(r.headers), r.timestamp)
                for records in batches.values() for r in records]

    def assigned(self):
        return {tp.partition for tp in self.kafka.assignment()}

    def commit(self, offsets):
        wait(self.kafka.commit({TopicPartition(self.topic, p): o for p, o in offsets.items()}))

    def committed(self, partition):
        return wait(self.kafka.committed(TopicPartition(self.topic, partition)))

    def close(self):
        wait(self.kafka.stop())


class Producer:
    def __init__(self, **options):
        self.kafka = wait(make(AIOKafkaProducer, **options))

    def send(self, topic, records):
        async def send_all():
            futures = [await self.kafka.send(topic, key=r.key, value=r.value, headers=r.headers, partition=r.partition,
                                             timestamp_ms=r.timestamp_ms) for r in records]
            await asyncio.gather(*futures)

        wait(send_all())

    def close(self):
        wait(self.kafka.stop())


class AioKafka(steps.Client):
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = wait(make(AIOKafkaAdminClient, bootstrap_servers=bootstrap))

    def create_topics(self, names):
        answer = wait(self.admin.create_topics([NewTopic(n, steps.PARTITIONS, 1) for n in names]))
        for error in answer.topic_errors:
            steps.check(error[1] == 0, f"create_topics: {error}")

    def partitions(self, topic):
        if topic not in wait(self.admin.list_topics()):
            return 0
        return len(wait(self.admin.describe_topics([topic]))[0]["partitions"])

    def delete_topic(self, topic):
        answer = wait(self.admin.delete_topics([topic]))
        steps.check(all(error[1] == 0 for error in answer.topic_error_codes), f"delete_topics: {answer}")

    def produce(self, topic, codec, records):
        producer = Producer(bootstrap_servers=self.bootstrap, enable_idempotence=True,
                            compression_type=None if codec == "none" else codec)
        producer.send(topic, records)
        producer.close()

    def consumer(self, group, isolation="read_committed", protocol="classic"):
        return Consumer(self.bootstrap, group, isolation)

    def transactional(self, transactional_id):
        return Producer(bootstrap_servers=self.bootstrap, transactional_id=transactional_id)

    def transaction(self, producer, topic, records, group, offset, commit):
        wait(producer.kafka.begin_transaction())
        producer.send(topic, records)
        wait(producer.kafka.send_offsets_to_transaction({TopicPartition(topic, 0): offset}, group))
        if commit:
            wait(producer.kafka.commit_transaction())
        else:
            wait(producer.kafka.abort_transaction())

    def close(self):
        wait(self.admin.close())


steps.run(AioKafka)
