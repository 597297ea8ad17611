/* client.js - the steps with @confluentinc/kafka-javascript, librdkafka under KafkaJS' API. */
'use strict';

const { Kafka, CompressionTypes, logLevel } = require('@confluentinc/kafka-javascript').KafkaJS;
const { run, bootstrap } = require('../javascript/steps.js');

const TYPES = {
	none: CompressionTypes.None,
	gzip: CompressionTypes.GZIP,
	snappy: CompressionTypes.SNAPPY,
	lz4: CompressionTypes.LZ4,
	zstd: CompressionTypes.ZSTD,
};

const kafka = new Kafka({ kafkaJS: { clientId: 'confluent-test', brokers: [bootstrap], logLevel: logLevel.NOTHING } });
let protocol = 'classic';
const adapter = {
	kafka,
	producer: ({ codec, transactionalId }) =>
		kafka.producer({ kafkaJS: { idempotent: true, acks: -1, compression: TYPES[codec], ...(transactionalId && { transactionalId }) } }),
	send: (producer, codec, topic, messages) => producer.send({ topic, messages }),
	consumer: ({ groupId, readUncommitted }) =>
		kafka.consumer({
			kafkaJS: { groupId, readUncommitted: Boolean(readUncommitted), fromBeginning: true, autoCommit: false },
			'group.protocol': protocol,
			...(protocol === 'classic' && { 'session.timeout.ms': 10000, 'heartbeat.interval.ms': 500 }),
		}),
	subscribe: (consumer, topic) => consumer.subscribe({ topics: [topic] }),
	runOptions: {},
	watch: (consumer) => () => consumer.assignment().map(({ partition }) => partition),
	transaction: (producer) => producer.transaction(),
	sendOffsets: async (txn, groupId, topics) => {
		const consumer = adapter.consumer({ groupId });
		await consumer.connect();
		await txn.sendOffsets({ consumer, topics });
		await consumer.disconnect();
	},
	useGroupProtocol: (name) => {
		protocol = name;
	},
};

run(adapter);
