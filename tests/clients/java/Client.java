/* Client.java - the steps of tests/clients/README.md with Apache Kafka's own client.
 *
 *   java Client BOOTSTRAP PREFIX
 *
 * The first difference ends the program with a sentence on stderr and status 1.
 */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Client {
	static final int PARTITIONS = 4;
	static final int RECORDS = 1000;
	static final int KEYS = 50;
	static final int GROUP_RECORDS = 100;
	static final int KEPT = 100;
	static final int DROPPED = 50;
	static final long TIME_MS = System.currentTimeMillis() - 3600000;  /* no retention reaches that far */
	static final Duration LIMIT = Duration.ofSeconds(60);
	static final String FILLER = "the same words again and again, the same words again and again";
	static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

	final String bootstrap;
	final String prefix;
	final Admin admin;

	Client(String bootstrap, String prefix) {
		this.bootstrap = bootstrap;
		this.prefix = prefix;
		Properties config = new Properties();
		config.put("bootstrap.servers", bootstrap);
		admin = Admin.create(config);
	}

	static void check(boolean condition, Supplier<String> sentence) {
		if (!condition)
			throw new IllegalStateException(sentence.get());
	}

	/* Looks again and again; the condition does the waiting. */
	static void until(BooleanSupplier condition, Supplier<String> sentence) {
		long end = System.nanoTime() + LIMIT.toNanos();
		while (!condition.getAsBoolean())
			check(System.nanoTime() < end, () -> "timed out: " + sentence.get());
	}

	static void passed(String step) {
		System.out.println("ok " + step);
	}

	String name(String what) {
		return prefix + "-" + what;
	}

	/* ---- topics ---- */

	int partitions(String topic) {
		try {
			if (!admin.listTopics().names().get().contains(topic))
				return 0;
			return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
		} catch (InterruptedException | ExecutionException e) {
			throw new IllegalStateException("partitions of " + topic, e);
		}
	}

	void stepTopics() throws Exception {
		List<String> names = new ArrayList<>(CODECS);
		names.addAll(List.of("group", "group-consumer", "txn"));
		admin.createTopics(names.stream().map(n -> new NewTopic(name(n), PARTITIONS, (short) 1)).toList()).all().get();
		for (String n : names)
			check(partitions(name(n)) == PARTITIONS, () -> name(n) + " has " + partitions(name(n)) + " partitions");
		passed("topics");
	}

	void stepDelete() throws Exception {
		String topic = name("none");
		admin.deleteTopics(List.of(topic)).all().get();
		until(() -> partitions(topic) == 0, () -> topic + " is still in the metadata");
		passed("delete");
	}

	/* ---- records there and back ---- */

	KafkaProducer<String, String> producer(String codec, String transactionalId) {
		Properties config = new Properties();
		config.put("bootstrap.servers", bootstrap);
		config.put("compression.type", codec);
		config.put("enable.idempotence", "true");
		config.put("linger.ms", "5");
		if (transactionalId != null)
			config.put("transactional.id", transactionalId);
		return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
	}

	KafkaConsumer<String, String> consumer(String group, String isolation, String protocol) {
		Properties config = new Properties();
		config.put("bootstrap.servers", bootstrap);
		config.put("group.id", group);
		config.put("group.protocol", protocol);
		config.put("isolation.level", isolation);
		config.put("auto.offset.reset", "earliest");
		config.put("enable.auto.commit", "false");
		if (protocol.equals("classic")) {
			config.put("session.timeout.ms", "10000");
			config.put("heartbeat.interval.ms", "500");
		}
		return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
	}

	ProducerRecord<String, String> codecRecord(String codec, int i) {
		ProducerRecord<String, String> record = new ProducerRecord<>(
			name(codec), null, TIME_MS + i, "key-" + i % KEYS, codec + " " + i + " " + FILLER);
		record.headers().add("i", Integer.toString(i).getBytes(StandardCharsets.UTF_8));
		return record;
	}

	static void send(KafkaProducer<String, String> producer, List<ProducerRecord<String, String>> records) throws Exception {
		List<Future<RecordMetadata>> futures = records.stream().map(producer::send).toList();
		producer.flush();
		for (Future<RecordMetadata> future : futures)
			future.get();
	}

	static List<TopicPartition> all(String topic) {
		return IntStream.range(0, PARTITIONS).mapToObj(p -> new TopicPartition(topic, p)).toList();
	}

	/* What has been seen of a codec's records. */
	final class Seen {
		final String codec;
		final Set<Integer> records = new HashSet<>();
		final Map<String, Integer> place = new HashMap<>();
		final Map<String, Integer> last = new HashMap<>();

		Seen(String codec) {
			this.codec = codec;
		}

		void add(ConsumerRecord<String, String> r) {
			int i = Integer.parseInt(new String(r.headers().lastHeader("i").value(), StandardCharsets.UTF_8));
			check(i >= 0 && i < RECORDS && records.add(i), () -> codec + ": record " + i + " came twice, or was never sent");
			ProducerRecord<String, String> wanted = codecRecord(codec, i);
			check(r.key().equals(wanted.key()) && r.value().equals(wanted.value()) && r.timestamp() == TIME_MS + i,
				() -> codec + ": record " + i + " came back as " + r);
			check(place.computeIfAbsent(r.key(), k -> r.partition()) == r.partition(), () -> codec + ": " + r.key() + " is in two partitions");
			check(last.getOrDefault(r.key(), -1) < i, () -> codec + ": record " + i + " comes too late");
			last.put(r.key(), i);
		}
	}

	void stepCodec(String codec) throws Exception {
		try (KafkaProducer<String, String> producer = producer(codec, null)) {
			send(producer, IntStream.range(0, RECORDS).mapToObj(i -> codecRecord(codec, i)).toList());
		}
		Seen seen = new Seen(codec);
		try (KafkaConsumer<String, String> consumer = consumer(name("unused"), "read_committed", "classic")) {
			consumer.assign(all(name(codec)));
			until(() -> {
				consumer.poll(Duration.ofMillis(100)).forEach(seen::add);
				return seen.records.size() == RECORDS;
			}, () -> codec + ": " + seen.records.size() + " of " + RECORDS + " records came back");
		}
		passed(codec);
	}

	/* ---- the group ---- */

	final class Member implements AutoCloseable {
		final KafkaConsumer<String, String> consumer;
		final String topic;
		final Set<String> seen = new TreeSet<>();       /* "partition offset" */

		Member(String topic, String protocol) {
			this.topic = topic;
			consumer = consumer(topic, "read_committed", protocol);
			consumer.subscribe(List.of(topic));
		}

		void poll() {
			for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) {
				String place = r.partition() + " " + r.offset();
				check(r.value().equals(place + " " + FILLER), () -> "group: " + r.value() + " at " + place);
				seen.add(place);
			}
		}

		Set<Integer> assigned() {
			return consumer.assignment().stream().map(TopicPartition::partition).collect(Collectors.toSet());
		}

		/* How many records of the partitions that it has now. */
		long seenNow() {
			Set<Integer> assigned = assigned();
			return seen.stream().filter(s -> assigned.contains(Integer.valueOf(s.split(" ")[0]))).count();
		}

		void commit() {
			consumer.commitSync(assigned().stream().collect(Collectors.toMap(
				p -> new TopicPartition(topic, p), p -> new OffsetAndMetadata(30 + p))));
		}

		@Override
		public void close() {
			consumer.close();
		}
	}

	static void waitAssigned(Map<Member, Integer> counts) {
		Supplier<List<Set<Integer>>> now = () -> counts.keySet().stream().map(Member::assigned).toList();
		until(() -> {
			counts.keySet().forEach(Member::poll);
			return counts.entrySet().stream().allMatch(e -> e.getKey().assigned().size() == e.getValue());
		}, () -> "group: assigned are " + now.get());
		Set<Integer> union = new HashSet<>();
		now.get().forEach(union::addAll);
		check(union.size() == PARTITIONS, () -> "group: assigned are " + now.get());
	}

	void stepGroup(String step, String protocol) throws Exception {
		String topic = name(step);
		try (KafkaProducer<String, String> producer = producer("none", null)) {
			List<ProducerRecord<String, String>> records = new ArrayList<>();
			for (int p = 0; p < PARTITIONS; p++)
				for (int i = 0; i < GROUP_RECORDS; i++)
					records.add(new ProducerRecord<>(topic, p, null, p + " " + i + " " + FILLER));
			send(producer, records);
		}
		try (Member a = new Member(topic, protocol)) {
			waitAssigned(Map.of(a, PARTITIONS));
			try (Member b = new Member(topic, protocol)) {
				waitAssigned(Map.of(a, 2, b, 2));
				until(() -> {
					a.poll();
					b.poll();
					return a.seenNow() + b.seenNow() == PARTITIONS * GROUP_RECORDS;
				}, () -> "group: two members saw " + a.seenNow() + " and " + b.seenNow() + " records");
				a.commit();
				b.commit();
			}
			waitAssigned(Map.of(a, PARTITIONS));
		}
		resume(topic, protocol);
		passed(step);
	}

	/* A third member sees all from the committed offsets on and nothing before them. */
	void resume(String topic, String protocol) {
		Set<String> wanted = new TreeSet<>();
		for (int p = 0; p < PARTITIONS; p++)
			for (int i = 30 + p; i < GROUP_RECORDS; i++)
				wanted.add(p + " " + i);
		try (Member c = new Member(topic, protocol)) {
			until(() -> {
				c.poll();
				return c.seen.size() >= wanted.size();
			}, () -> "group: after the commit " + c.seen.size() + " of " + wanted.size() + " records came");
			check(c.seen.equals(wanted), () -> "group: after the commit came " + c.seen);
		}
	}

	/* ---- transactions ---- */

	void transaction(KafkaProducer<String, String> producer, String word, int first, int count, long offset, boolean commit) throws Exception {
		producer.beginTransaction();
		send(producer, IntStream.range(first, first + count)
			.mapToObj(i -> new ProducerRecord<String, String>(name("txn"), i % PARTITIONS, null, word + " " + i)).toList());
		try (KafkaConsumer<String, String> consumer = consumer(name("txn"), "read_committed", "classic")) {
			producer.sendOffsetsToTransaction(Map.of(new TopicPartition(name("txn"), 0), new OffsetAndMetadata(offset)),
				consumer.groupMetadata());
		}
		if (commit)
			producer.commitTransaction();
		else
			producer.abortTransaction();
	}

	void transactionRead(String isolation, Set<String> wanted) {
		Set<String> seen = new HashSet<>();
		try (KafkaConsumer<String, String> consumer = consumer(name("unused"), isolation, "classic")) {
			consumer.assign(all(name("txn")));
			until(() -> {
				for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100)))
					check(wanted.contains(r.value()) && seen.add(r.value()), () -> isolation + ": " + r.value() + " came, or came twice");
				return seen.equals(wanted);
			}, () -> isolation + ": " + seen.size() + " of " + wanted.size() + " records came");
		}
	}

	/* A fetch of offsets by a read_committed consumer waits for stable ones. */
	void offsetIs(long wanted) {
		TopicPartition place = new TopicPartition(name("txn"), 0);
		try (KafkaConsumer<String, String> consumer = consumer(name("txn"), "read_committed", "classic")) {
			OffsetAndMetadata found = consumer.committed(Set.of(place)).get(place);
			check(found != null && found.offset() == wanted, () -> "transaction: the group's offset is " + found + ", not " + wanted);
		}
	}

	void stepTransaction() throws Exception {
		try (KafkaProducer<String, String> producer = producer("none", name("txn"))) {
			producer.initTransactions();
			transaction(producer, "kept", 0, KEPT / 2, 3, true);
			transaction(producer, "dropped", 0, DROPPED, 5, false);
			offsetIs(3);
			transaction(producer, "kept", KEPT / 2, KEPT / 2, 7, true);
		}
		offsetIs(7);
		Set<String> wanted = new HashSet<>();
		IntStream.range(0, KEPT).forEach(i -> wanted.add("kept " + i));
		transactionRead("read_committed", wanted);
		IntStream.range(0, DROPPED).forEach(i -> wanted.add("dropped " + i));
		transactionRead("read_uncommitted", wanted);
		passed("transaction");
	}

	void run() throws Exception {
		stepTopics();
		for (String codec : CODECS)
			stepCodec(codec);
		stepGroup("group", "classic");
		stepGroup("group-consumer", "consumer");
		stepTransaction();
		stepDelete();
		admin.close();
	}

	public static void main(String[] args) {
		try {
			new Client(args[0], args[1]).run();
		} catch (Exception e) {
			e.printStackTrace();
			System.exit(1);
		}
	}
}
