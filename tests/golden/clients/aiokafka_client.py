"""aiokafka: a producer and a consumer of a group."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

BROKER = sys.argv[1]
TOPIC = "aiokafka-topic"


async def main():
    async with AIOKafkaProducer(bootstrap_servers=BROKER, enable_idempotence=True) as producer:
        for i in range(4):
            await producer.send_and_wait(TOPIC, key=b"k%d" % i, value=b"v%d" % i)
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=BROKER, group_id="aiokafka-group",
                                auto_offset_reset="earliest", heartbeat_interval_ms=300, session_timeout_ms=6000)
    await consumer.start()
    for _ in range(4):
        await asyncio.wait_for(consumer.getone(), 10)
    await consumer.commit()
    await consumer.committed(TopicPartition(TOPIC, 0))
    await consumer.offsets_for_times({TopicPartition(TOPIC, 0): 1000})
    await asyncio.sleep(1)  # for a heartbeat
    await consumer.stop()


asyncio.run(main())
