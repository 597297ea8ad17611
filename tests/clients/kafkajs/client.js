/* client.js - the steps with kafkajs, a client written in JavaScript. Codecs that it lacks come from packages
 * of their own. */
'use strict';

const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs');
const Lz4 = require('kafkajs-lz4');
const snappy = require('kafkajs-snappy');
const zstd = require('@bokuweb/zstd-wasm');
const { run, bootstrap } = require('../javascript/steps.js');

CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = new Lz4().codec;
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
	compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
	decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});
const TYPES = {
	none: CompressionTypes.None,
	gzip: CompressionTypes.GZIP,
	snappy: CompressionTypes.Snappy,
	lz4: CompressionTypes.LZ4,
	zstd: CompressionTypes.ZSTD,
};

const kafka = new Kafka({ clientId: 'kafkajs-test', brokers: [bootstrap], logLevel: logLevel.NOTHING });
const adapter = {
	kafka,
	producer: ({ transactionalId }) => kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId }),
	send: (producer, codec, topic, messages) => producer.send({ topic, messages, acks: -1, compression: TYPES[codec] }),
	consumer: ({ groupId, readUncommitted }) =>
		kafka.consumer({ groupId, readUncommitted, sessionTimeout: 10000, heartbeatInterval: 500, maxWaitTimeInMs: 200 }),
	subscribe: (consumer, topic) => consumer.subscribe({ topics: [topic], fromBeginning: true }),
	runOptions: { autoCommit: false },
	watch: (consumer) => {
		let partitions = [];
		consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
			partitions = Object.values(payload.memberAssignment).flat();
		});
		consumer.on(consumer.events.REBALANCING, () => {
			partitions = [];
		});
		return () => partitions;
	},
	transaction: (producer) => producer.transaction(),
	sendOffsets: (txn, consumerGroupId, topics) => txn.sendOffsets({ consumerGroupId, topics }),
};

zstd.init().then(() => run(adapter));
