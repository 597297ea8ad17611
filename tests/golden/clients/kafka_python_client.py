"""kafka-python, as for brokers of several ages: older ones get older versions of the requests."""
import sys

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import (ACL, ACLFilter, ACLOperation, ACLPermissionType, ACLResourcePatternType, ConfigResource,
                         ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic, ResourcePattern,
                         ResourcePatternFilter, ResourceType)
from kafka.structs import OffsetAndMetadata, TopicPartition

BROKER = sys.argv[1]
AGES = [None, (0, 10, 2), (0, 11), (1, 0), (1, 1), (2, 0), (2, 1), (2, 3), (2, 4), (2, 6), (3, 0), (4, 0)]


def attempt(what, function):
    """An age may lack a request, or the broker may refuse the version: then there is nothing to keep."""
    try:
        function()
    except Exception as e:  # of a dozen libraries' own classes
        print(f"kafka-python: {what}: {type(e).__name__}: {e}", file=sys.stderr)


def topic_of(age):
    return "kp-" + ("newest" if age is None else ".".join(map(str, age)))


def administrate(age):
    admin = KafkaAdminClient(bootstrap_servers=BROKER, api_version=age, request_timeout_ms=5000)
    topic = topic_of(age)
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    attempt("create", lambda: admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "3600000"})]))
    attempt("partitions", lambda: admin.create_partitions({topic: NewPartitions(3)}))
    attempt("describe", lambda: admin.describe_configs([resource]))
    attempt("alter", lambda: admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7200000"})]))
    attempt("topics", lambda: admin.describe_topics([topic]))
    attempt("cluster", admin.describe_cluster)
    attempt("log dirs", admin.describe_log_dirs)
    admin.close()


def produce(age):
    producer = KafkaProducer(bootstrap_servers=BROKER, api_version=age, acks="all", max_block_ms=5000,
                             request_timeout_ms=5000, enable_idempotence=False)
    for i in range(5):
        producer.send(topic_of(age), key=b"k%d" % i, value=b"v%d" % i, partition=i % 2)
    producer.flush(5)
    producer.close(1)


def consume(age):
    topic, group = topic_of(age), "kp-group-" + topic_of(age)
    consumer = KafkaConsumer(topic, bootstrap_servers=BROKER, api_version=age, group_id=group,
                             auto_offset_reset="earliest", consumer_timeout_ms=3000, heartbeat_interval_ms=300,
                             session_timeout_ms=6000, isolation_level="read_committed")
    for n, _ in enumerate(consumer, 1):
        if n == 5:
            break
    partition = TopicPartition(topic, 0)
    consumer.poll(700)
    attempt("times", lambda: consumer.offsets_for_times({partition: 1000}))
    attempt("ends", lambda: consumer.end_offsets([partition]))
    attempt("commit", lambda: consumer.commit({partition: OffsetAndMetadata(2, "note", -1)}))
    attempt("committed", lambda: consumer.committed(partition))
    admin = KafkaAdminClient(bootstrap_servers=BROKER, api_version=age, request_timeout_ms=5000)
    attempt("groups", admin.list_consumer_groups if hasattr(admin, "list_consumer_groups") else admin.list_groups)
    describe = getattr(admin, "describe_consumer_groups", None) or admin.describe_groups
    attempt("group", lambda: describe([group]))
    consumer.close()
    offsets = getattr(admin, "list_consumer_group_offsets", None) or admin.list_group_offsets
    attempt("offsets", lambda: offsets(group))
    attempt("records", lambda: admin.delete_records({partition: 1}))
    delete = getattr(admin, "delete_consumer_groups", None) or admin.delete_groups
    attempt("delete group", lambda: delete([group]))
    attempt("delete", lambda: admin.delete_topics([topic]))
    admin.close()


def rule_access(age):
    admin = KafkaAdminClient(bootstrap_servers=BROKER, api_version=age, request_timeout_ms=5000)
    rules = [ACL(principal=f"User:{who}", host="*", operation=ACLOperation.READ, permission_type=ACLPermissionType.ALLOW,
                 resource_pattern=ResourcePattern(ResourceType.TOPIC, "views")) for who in ("erin", "frank")]
    every = ACLFilter(principal=None, host=None, operation=ACLOperation.ANY, permission_type=ACLPermissionType.ANY,
                      resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY))
    attempt("create acls", lambda: admin.create_acls(rules))
    attempt("acls", lambda: admin.describe_acls(every))
    attempt("delete acls", lambda: admin.delete_acls(rules))
    admin.close()


for age in AGES:
    attempt(f"admin {age}", lambda: administrate(age))
    attempt(f"produce {age}", lambda: produce(age))
    attempt(f"consume {age}", lambda: consume(age))
    attempt(f"acls {age}", lambda: rule_access(age))
