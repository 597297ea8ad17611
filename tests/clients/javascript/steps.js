/* steps.js - the steps of tests/clients/README.md for clients with KafkaJS' API.
 *
 * A client hands over an adapter:
 *   kafka                                  the client, connected to nothing yet
 *   producer({codec, transactionalId})     an idempotent producer that compresses so
 *   send(producer, codec, topic, messages)
 *   consumer({groupId, readUncommitted})   from the beginning, no automatic commits
 *   subscribe(consumer, topic), runOptions
 *   watch(consumer)                        a function that returns the partitions assigned now
 *   transaction(producer)                  begins one
 *   sendOffsets(txn, groupId, topics)
 *   useGroupProtocol(name)                 optional: 'consumer' or 'classic' from now on
 */
'use strict';

const PARTITIONS = 4;
const RECORDS = 1000;
const KEYS = 50;
const GROUP_RECORDS = 100;
const KEPT = 100;
const DROPPED = 50;
const LIMIT_MS = 60000;
const TIME = Date.now() - 3600000; // no retention reaches that far
const FILLER = 'the same words again and again, the same words again and again';
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

const [bootstrap, prefix] = process.argv.slice(2);
const nameOf = (what) => `${prefix}-${what}`;

function check(condition, sentence) {
	if (!condition) throw new Error(sentence);
}

function passed(step) {
	console.log(`ok ${step}`);
}

/* Looks again and again until the condition holds. */
async function until(condition, sentence) {
	const end = Date.now() + LIMIT_MS;
	while (!(await condition())) {
		check(Date.now() < end, `timed out: ${sentence()}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

/* 0: the metadata does not know the topic yet. */
async function partitionsOf(admin, topic) {
	if (!(await admin.listTopics()).includes(topic)) return 0;
	const answer = await admin.fetchTopicMetadata({ topics: [topic] });
	const [found] = answer.topics || answer;
	return found.partitions.length;
}

async function stepTopics(admin) {
	const names = [...CODECS, 'group', 'group-consumer', 'txn'].map(nameOf);
	await admin.createTopics({
		topics: names.map((topic) => ({ topic, numPartitions: PARTITIONS, replicationFactor: 1 })),
	});
	for (const topic of names) {
		let count = 0;
		await until(async () => (count = await partitionsOf(admin, topic)) === PARTITIONS, () => `${topic} has ${count} partitions`);
	}
	passed('topics');
}

async function stepDelete(admin) {
	const topic = nameOf('none');
	await admin.deleteTopics({ topics: [topic] });
	await until(async () => !(await admin.listTopics()).includes(topic), () => `${topic} is still listed`);
	passed('delete');
}

function codecMessage(codec, i) {
	return {
		key: `key-${i % KEYS}`,
		value: `${codec} ${i} ${FILLER}`,
		headers: { i: String(i) },
		timestamp: String(TIME + i),
	};
}

/* A consumer that runs and hands every message to onMessage(partition, message). */
async function reader(adapter, options, topic, onMessage) {
	const consumer = adapter.consumer(options);
	const assigned = adapter.watch(consumer);
	let failure = null;
	await consumer.connect();
	await adapter.subscribe(consumer, topic);
	await consumer.run({
		...adapter.runOptions,
		eachMessage: async ({ partition, message }) => {
			try {
				onMessage(partition, message);
			} catch (e) {
				failure = failure || e;
			}
		},
	});
	return {
		consumer,
		assigned: () => {
			if (failure) throw failure;
			return assigned();
		},
		close: () => consumer.disconnect(),
	};
}

async function produceCodec(adapter, codec) {
	const producer = adapter.producer({ codec });
	await producer.connect();
	for (let i = 0; i < RECORDS; i += 100) {
		const messages = Array.from({ length: 100 }, (_, k) => codecMessage(codec, i + k));
		await adapter.send(producer, codec, nameOf(codec), messages);
	}
	await producer.disconnect();
}

async function stepCodec(adapter, codec) {
	const seen = new Set();
	const place = new Map();
	const last = new Map();
	await produceCodec(adapter, codec);
	const r = await reader(adapter, { groupId: nameOf(`read-${codec}`) }, nameOf(codec), (partition, message) => {
		const i = Number(message.headers.i.toString());
		const wanted = codecMessage(codec, i);
		check(i >= 0 && i < RECORDS && !seen.has(i), `${codec}: record ${i} came twice, or was never sent`);
		check(message.key.toString() === wanted.key, `${codec}: record ${i} has another key`);
		check(message.value.toString() === wanted.value, `${codec}: record ${i} has another value`);
		check(message.timestamp === wanted.timestamp, `${codec}: record ${i} has another timestamp`);
		check((place.get(wanted.key) ?? partition) === partition, `${codec}: ${wanted.key} is in two partitions`);
		check((last.get(wanted.key) ?? -1) < i, `${codec}: record ${i} comes too late`);
		seen.add(i);
		place.set(wanted.key, partition);
		last.set(wanted.key, i);
	});
	await until(() => r.assigned() && seen.size === RECORDS, () => `${codec}: ${seen.size} of ${RECORDS} records came back`);
	await r.close();
	passed(codec);
}

/* A member of the group; seen holds "partition offset" of all that it was handed. */
async function member(adapter, group) {
	const seen = new Set();
	const r = await reader(adapter, { groupId: group }, group, (partition, message) => {
		const text = message.value.toString();
		check(text === `${partition} ${message.offset} ${FILLER}`, `group: "${text}" at offset ${message.offset} of partition ${partition}`);
		seen.add(`${partition} ${message.offset}`);
	});
	return { ...r, group, seen };
}

async function assignedAre(members, counts) {
	const all = () => members.map((m) => m.assigned());
	const text = () => `group: assigned are ${JSON.stringify(all())}, wanted ${JSON.stringify(counts)}`;
	await until(() => all().every((list, k) => list.length === counts[k]), text);
	check(new Set(all().flat()).size === PARTITIONS, text());
}

/* How many records a member has seen of the partitions that it has now. */
function seenOf(m) {
	return m.assigned().reduce((sum, p) => sum + [...m.seen].filter((s) => s.startsWith(`${p} `)).length, 0);
}

async function commit(m) {
	await m.consumer.commitOffsets(
		m.assigned().map((partition) => ({ topic: m.group, partition, offset: String(30 + partition) })));
}

async function produceGroup(adapter, topic) {
	const producer = adapter.producer({ codec: 'none' });
	await producer.connect();
	for (let p = 0; p < PARTITIONS; p++) {
		const messages = Array.from({ length: GROUP_RECORDS }, (_, i) => ({ partition: p, value: `${p} ${i} ${FILLER}` }));
		await adapter.send(producer, 'none', topic, messages);
	}
	await producer.disconnect();
}

async function stepGroup(adapter, step) {
	const group = nameOf(step);
	await produceGroup(adapter, group);
	const a = await member(adapter, group);
	await assignedAre([a], [PARTITIONS]);
	const b = await member(adapter, group);
	await assignedAre([a, b], [2, 2]);
	await until(() => seenOf(a) + seenOf(b) === PARTITIONS * GROUP_RECORDS, () => `group: two members saw ${seenOf(a)} and ${seenOf(b)} records`);
	await commit(a);
	await commit(b);
	await b.close();
	await assignedAre([a], [PARTITIONS]);
	await a.close();
	const c = await member(adapter, group);
	const wanted = [0, 1, 2, 3].reduce((sum, p) => sum + GROUP_RECORDS - (30 + p), 0);
	await until(() => c.assigned() && c.seen.size >= wanted, () => `group: after the commit ${c.seen.size} of ${wanted} records came`);
	for (let p = 0; p < PARTITIONS; p++)
		for (let i = 0; i < GROUP_RECORDS; i++)
			check(c.seen.has(`${p} ${i}`) === i >= 30 + p, `group: committed ${30 + p} of partition ${p}, but record ${i} was ${i >= 30 + p ? 'left out' : 'read again'}`);
	await c.close();
	passed(step);
}

async function transactionSend(adapter, txn, word, first, count, offset) {
	const messages = Array.from({ length: count }, (_, k) => ({ partition: (first + k) % PARTITIONS, value: `${word} ${first + k}` }));
	await txn.send({ topic: nameOf('txn'), messages });
	await adapter.sendOffsets(txn, nameOf('txn'), [{ topic: nameOf('txn'), partitions: [{ partition: 0, offset: String(offset) }] }]);
}

async function transactionRead(adapter, readUncommitted) {
	const seen = new Set();
	const wanted = KEPT + (readUncommitted ? DROPPED : 0);
	const options = { groupId: nameOf(readUncommitted ? 'read-uncommitted' : 'read-committed'), readUncommitted };
	const r = await reader(adapter, options, nameOf('txn'), (partition, message) => {
		const text = message.value.toString();
		check(!seen.has(text), `transaction: ${text} came twice`);
		check(readUncommitted || text.startsWith('kept '), `transaction: ${text} came`);
		seen.add(text);
	});
	await until(() => r.assigned() && seen.size === wanted, () => `transaction: ${seen.size} of ${wanted} records came`);
	for (let i = 0; i < KEPT; i++)
		check(seen.has(`kept ${i}`), `transaction: kept ${i} did not come`);
	await r.close();
}

/* The coordinator may show a committed offset a moment after the end of its transaction. */
async function offsetIs(admin, wanted) {
	let offset = null;
	await until(async () => {
		const [{ partitions }] = await admin.fetchOffsets({ groupId: nameOf('txn'), topics: [nameOf('txn')] });
		offset = partitions.find(({ partition }) => partition === 0).offset;
		return offset === String(wanted);
	}, () => `transaction: the group's offset is ${offset}, not ${wanted}`);
}

async function stepTransaction(adapter, admin) {
	const producer = adapter.producer({ codec: 'none', transactionalId: nameOf('txn') });
	const begin = () => adapter.transaction(producer);
	await producer.connect();
	let txn = await begin();
	await transactionSend(adapter, txn, 'kept', 0, KEPT / 2, 3);
	await txn.commit();
	txn = await begin();
	await transactionSend(adapter, txn, 'dropped', 0, DROPPED, 5);
	await txn.abort();
	await offsetIs(admin, 3);
	txn = await begin();
	await transactionSend(adapter, txn, 'kept', KEPT / 2, KEPT / 2, 7);
	await txn.commit();
	await offsetIs(admin, 7);
	await producer.disconnect();
	await transactionRead(adapter, false);
	await transactionRead(adapter, true);
	passed('transaction');
}

async function main(adapter) {
	const admin = adapter.kafka.admin();
	await admin.connect();
	await stepTopics(admin);
	for (const codec of CODECS) await stepCodec(adapter, codec);
	await stepGroup(adapter, 'group');
	if (adapter.useGroupProtocol) {
		adapter.useGroupProtocol('consumer');
		await stepGroup(adapter, 'group-consumer');
		adapter.useGroupProtocol('classic');
	}
	await stepTransaction(adapter, admin);
	await stepDelete(admin);
	await admin.disconnect();
}

/* Runs all steps; ends the process with status 1 and a sentence at the first difference. */
exports.run = (adapter) =>
	main(adapter).then(
		() => process.exit(0),
		(e) => {
			console.error(e.stack || String(e));
			process.exit(1);
		});
exports.bootstrap = bootstrap;
