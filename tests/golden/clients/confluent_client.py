"""confluent-kafka (librdkafka): producers, both group protocols, and the administrator's requests."""
import sys
import time

from confluent_kafka import (Consumer, ConsumerGroupTopicPartitions, ConsumerGroupType, IsolationLevel,
                             KafkaException, Producer, TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions,
                                   NewTopic, OffsetSpec, ResourceType)

BROKER = sys.argv[1]
TOPIC = "rdkafka-topic"
CONF = {"bootstrap.servers": BROKER, "client.id": "golden"}


def attempt(what, function):
    try:
        result = function()
        for future in result.values() if isinstance(result, dict) else [result]:
            if hasattr(future, "result"):
                future.result(10)
    except Exception as e:
        print(f"confluent-kafka: {what}: {type(e).__name__}: {e}", file=sys.stderr)


def produce(**conf):
    producer = Producer({**CONF, **conf})
    for i in range(4):
        producer.produce(TOPIC, key=b"k%d" % i, value=b"v%d" % i, headers={"n": str(i)}, partition=i % 2)
    producer.flush(10)


def consume(protocol, wanted=4):
    conf = {**CONF, "group.id": "rdkafka-" + protocol, "group.protocol": protocol, "auto.offset.reset": "earliest"}
    if protocol == "classic":
        conf |= {"heartbeat.interval.ms": 500, "partition.assignment.strategy": "cooperative-sticky",
                 "group.instance.id": "static-1"}
    consumer = Consumer(conf)
    consumer.subscribe([TOPIC])
    end, got = time.monotonic() + 10, 0
    while got < wanted and time.monotonic() < end:
        message = consumer.poll(0.5)
        got += message is not None and not message.error()
    attempt("commit", lambda: consumer.commit(asynchronous=False))
    attempt("committed", lambda: consumer.committed([TopicPartition(TOPIC, 0)], 5) and None)
    consumer.poll(1.5)
    return consumer


def administrate(admin):
    resource = ConfigResource(ResourceType.TOPIC, TOPIC)
    incremental = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[
        ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)])
    attempt("create", lambda: admin.create_topics([NewTopic(TOPIC, 2, 1, config={"retention.ms": "3600000"})]))
    attempt("partitions", lambda: admin.create_partitions([NewPartitions(TOPIC, 3)]))
    attempt("describe", lambda: admin.describe_configs([resource]))
    attempt("alter", lambda: admin.incremental_alter_configs([incremental]))
    attempt("alter all", lambda: admin.alter_configs([ConfigResource(ResourceType.TOPIC, TOPIC, {"retention.ms": "1"})]))
    attempt("reset", lambda: admin.alter_configs([ConfigResource(ResourceType.TOPIC, TOPIC, {})]))
    attempt("topics", lambda: admin.describe_topics(TopicCollection([TOPIC]), include_authorized_operations=True))
    attempt("cluster", lambda: admin.describe_cluster(include_authorized_operations=True))


def look_at_groups(admin):
    groups = ["rdkafka-classic", "rdkafka-consumer"]
    attempt("groups", lambda: admin.list_consumer_groups(types={ConsumerGroupType.CLASSIC, ConsumerGroupType.CONSUMER}))
    attempt("group", lambda: admin.describe_consumer_groups(groups, include_authorized_operations=True))
    attempt("offsets", lambda: admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(groups[0])]))


def clean_up(admin):
    partition = TopicPartition(TOPIC, 0, 1)
    for spec in (OffsetSpec.latest(), OffsetSpec.earliest(), OffsetSpec.max_timestamp(), OffsetSpec.for_timestamp(1000)):
        attempt("list", lambda: admin.list_offsets({partition: spec}, isolation_level=IsolationLevel.READ_COMMITTED))
    attempt("alter offsets", lambda: admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions("rdkafka-classic", [TopicPartition(TOPIC, 0, 1)])]))
    attempt("records", lambda: admin.delete_records([partition]))
    attempt("delete groups", lambda: admin.delete_consumer_groups(["rdkafka-classic", "rdkafka-consumer"]))
    attempt("delete", lambda: admin.delete_topics([TOPIC]))


def main():
    admin = AdminClient(CONF)
    administrate(admin)
    produce(acks=1)
    produce(**{"enable.idempotence": True, "compression.type": "zstd"})
    consumers = []
    for protocol in ("classic", "consumer"):
        try:
            consumers.append(consume(protocol))
        except KafkaException as e:
            print(f"confluent-kafka: {protocol}: {e}", file=sys.stderr)
    look_at_groups(admin)
    for consumer in consumers:
        consumer.close()
    clean_up(admin)


main()
