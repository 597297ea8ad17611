/* TxnClient.java - the modes work and copy of txn_client (tests/checker/librdkafka) with Apache Kafka's own client.
 *
 *   java TxnClient work|copy|drive -b HOST:PORT -t TOPIC [-T TOPIC] [-p PARTITIONS] [-n NAME] [-i TRANSACTIONAL_ID] [-g GROUP]
 *                  [-v FIRST_VALUE] [-c COUNT] [-r SEED] [-x TXN_TIMEOUT_MS] [-s] [-M] [-O]
 *
 * It ends when standard input does.
 */
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class TxnClient implements ConsumerRebalanceListener {
	static final long END_LIMIT_NS = 60_000_000_000L;       /* how long a commit or an abort is tried */

	enum Outcome { OK, FAIL, INFO }

	final Map<Character, String> options = new HashMap<>();
	final String topic;
	final String name;
	final String group;
	final boolean subscribes;
	final int partitions;
	final Random random;

	KafkaProducer<String, String> producer;
	KafkaConsumer<String, String> consumer;
	long n;
	long nextValue;
	volatile boolean hasFailed;
	int opRecords;
	Exception why;

	TxnClient(String[] args) {
		for (int i = 1; i < args.length; i++) {
			char c = args[i].charAt(1);
			options.put(c, "sMO".indexOf(c) >= 0 ? "" : args[++i]);
		}
		topic = options.get('t');
		name = options.getOrDefault('n', "java");
		group = options.getOrDefault('g', name);
		subscribes = options.containsKey('s');
		partitions = Integer.parseInt(options.getOrDefault('p', "4"));
		nextValue = Long.parseLong(options.getOrDefault('v', "0"));
		random = new Random(Long.parseLong(options.getOrDefault('r', "1")));
	}

	static boolean isStopping() {
		return stdin == null;
	}

	/* A thread waits for the end of standard input and then takes itself away. */
	static volatile Thread stdin;

	static void watchStdin() {
		stdin = new Thread(() -> {
			try {
				while (System.in.read() >= 0)
					continue;
			} catch (IOException e) {
				System.err.println("standard input: " + e);
			}
			stdin = null;
		});
		stdin.setDaemon(true);
		stdin.start();
	}

	/* One line of the history; the library's threads write some. */
	void line(String event, String rest) {
		synchronized (System.out) {
			System.out.println("{\"t\":" + System.nanoTime() + ",\"p\":\"" + name + "\",\"e\":\"" + event + "\"" + rest + "}");
			System.out.flush();
		}
	}

	Properties config() {
		Properties config = new Properties();
		config.put("bootstrap.servers", options.get('b'));
		config.put("client.id", name);
		config.put("reconnect.backoff.ms", "20");
		config.put("reconnect.backoff.max.ms", "200");
		config.put("request.timeout.ms", "3000");
		config.put("default.api.timeout.ms", "10000");
		return config;
	}

	/* ---- a transactional producer ---- */

	void makeProducer() {
		Properties config = config();
		config.put("transactional.id", options.getOrDefault('i', name));
		int timeout = Integer.parseInt(options.getOrDefault('x', "10000"));
		config.put("transaction.timeout.ms", Integer.toString(timeout));
		config.put("delivery.timeout.ms", Integer.toString(Math.max(timeout - 1000, 3001)));
		config.put("max.block.ms", "5000");
		config.put("linger.ms", "1");
		producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
	}

	void startProducer() {
		makeProducer();
		while (producer != null && !isStopping()) {
			try {
				producer.initTransactions();
				return;
			} catch (TimeoutException e) {
				continue;       /* the call may be made again */
			} catch (KafkaException e) {
				break;
			}
		}
		stopProducer();
	}

	void stopProducer() {
		if (producer != null)
			producer.close(Duration.ZERO);
		producer = null;
	}

	/* Commits or aborts, again after a timeout. The exception that it ended with, or null. */
	Exception tryEnd(boolean commits) {
		long limit = System.nanoTime() + END_LIMIT_NS;
		for (;;) {
			try {
				if (commits)
					producer.commitTransaction();
				else
					producer.abortTransaction();
				return null;
			} catch (TimeoutException e) {
				if (System.nanoTime() > limit)
					return e;
			} catch (KafkaException | IllegalStateException e) {
				return e;
			}
		}
	}

	Outcome end(boolean commits) {
		why = null;
		if (commits) {
			why = tryEnd(true);
			if (why == null)
				return Outcome.OK;
		}
		if (!(why instanceof TimeoutException)) {
			Exception e = tryEnd(false);
			if (e == null)
				return Outcome.FAIL;
			why = why == null ? e : why;
		}
		stopProducer();
		return commits ? Outcome.INFO : Outcome.FAIL;   /* a commit that was never asked for cannot take place */
	}

	/* ---- the consumer ---- */

	List<TopicPartition> all() {
		return IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(topic, p)).toList();
	}

	void startConsumer() {
		Properties config = config();
		config.put("group.id", group);
		config.put("enable.auto.commit", "false");
		config.put("auto.offset.reset", "earliest");
		config.put("isolation.level", "read_committed");
		config.put("session.timeout.ms", "6000");
		config.put("heartbeat.interval.ms", "500");
		config.put("fetch.max.wait.ms", "100");
		consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
		tellReset(all());
		if (subscribes) {
			consumer.subscribe(List.of(topic), this);
		} else {
			consumer.assign(all());
			consumer.seekToBeginning(all());
		}
	}

	void tellReset(Collection<TopicPartition> list) {
		line("reset", ",\"at\":[" + list.stream().map(p -> "" + p.partition()).collect(Collectors.joining(",")) + "]");
	}

	@Override
	public void onPartitionsAssigned(Collection<TopicPartition> list) {
		tellReset(list);
	}

	@Override
	public void onPartitionsRevoked(Collection<TopicPartition> list) {
		tellReset(list);
		hasFailed = true;       /* what was read of them may be another member's already */
	}

	Map<TopicPartition, OffsetAndMetadata> read = new HashMap<>();

	ConsumerRecords<String, String> poll(long ms) {
		ConsumerRecords<String, String> records;
		try {
			records = consumer.poll(Duration.ofMillis(ms));
		} catch (KafkaException e) {
			hasFailed = true;
			return ConsumerRecords.empty();
		}
		for (ConsumerRecord<String, String> r : records)
			read.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
		opRecords += records.count();
		return records;
	}

	void rewind() {
		if (!subscribes)
			return;
		tellReset(all());
		try {
			Set<TopicPartition> assigned = consumer.assignment();
			Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(assigned);
			for (TopicPartition p : assigned) {
				if (committed.get(p) != null)
					consumer.seek(p, committed.get(p));
				else
					consumer.seekToBeginning(List.of(p));
			}
		} catch (KafkaException e) {
			consumer.close(org.apache.kafka.clients.consumer.CloseOptions.timeout(Duration.ZERO));
			startConsumer();
		}
	}

	/* ---- work ---- */

	void pollRecords() {
		StringBuilder got = new StringBuilder();
		for (ConsumerRecord<String, String> r : poll(30))
			got.append(got.length() > 0 ? "," : "").append("[" + r.partition() + "," + r.offset() + "," + r.value() + "]");
		if (got.length() > 0)
			line("poll", ",\"n\":" + n + ",\"got\":[" + got + "]");
	}

	void sendRecord() {
		long value = nextValue++;
		int partition = random.nextInt(partitions);
		line("send", ",\"n\":" + n + ",\"at\":" + partition + ",\"v\":" + value);
		try {
			producer.send(new ProducerRecord<>(topic, partition, null, "" + value), (where, e) -> {
				if (e == null)
					line("ack", ",\"at\":" + partition + ",\"v\":" + value + ",\"o\":" + where.offset());
				else
					line("nack", ",\"v\":" + value + ",\"err\":\"" + e.getClass().getSimpleName() + "\"");
			});
		} catch (KafkaException | IllegalStateException e) {
			line("nack", ",\"v\":" + value + ",\"err\":\"" + e.getClass().getSimpleName() + "\"");
			hasFailed = true;
		}
	}

	static String offsetsText(Map<TopicPartition, Long> offsets) {
		return offsets.entrySet().stream().map(e -> "\"" + e.getKey().partition() + "\":" + e.getValue())
			.collect(Collectors.joining(",", "{", "}"));
	}

	/* False when they could not be sent. A group's name alone is what old programs send. */
	@SuppressWarnings("removal")
	boolean sendOffsets(Map<TopicPartition, OffsetAndMetadata> offsets, boolean isMember) {
		try {
			producer.sendOffsetsToTransaction(offsets, isMember ? consumer.groupMetadata() : new ConsumerGroupMetadata(group));
			return true;
		} catch (KafkaException | IllegalStateException e) {
			line("note", ",\"text\":\"offsets " + e.getClass().getSimpleName() + "\"");
			return false;
		}
	}

	void fillOp() {
		int steps = 1 + random.nextInt(5);
		for (int i = 0; i < steps && !hasFailed; i++) {
			if (random.nextInt(3) > 0)
				sendRecord();
			else
				pollRecords();
		}
		if (hasFailed || read.isEmpty() || (subscribes ? opRecords == 0 : random.nextInt(3) > 0))
			return;
		line("offsets", ",\"n\":" + n + ",\"group\":\"" + group + "\",\"at\":" + offsetsText(read.entrySet().stream()
			.collect(Collectors.toMap(Map.Entry::getKey, e -> e.getValue().offset()))));
		if (!sendOffsets(read, subscribes))
			hasFailed = true;
	}

	void tellCommitted() {
		long asked = System.nanoTime();
		try {
			Map<TopicPartition, OffsetAndMetadata> found = consumer.committed(new HashSet<>(all()));
			Map<TopicPartition, Long> offsets = new HashMap<>();
			for (TopicPartition p : all())
				offsets.put(p, found.get(p) == null ? -1L : found.get(p).offset());
			line("committed", ",\"group\":\"" + group + "\",\"t0\":" + asked + ",\"at\":" + offsetsText(offsets));
		} catch (KafkaException e) {
			line("note", ",\"text\":\"committed " + e.getClass().getSimpleName() + "\"");
		}
	}

	void flush() {
		try {
			producer.flush();
		} catch (KafkaException e) {
			hasFailed = true;
		}
	}

	void workOnce() {
		hasFailed = false;
		try {
			producer.beginTransaction();
		} catch (KafkaException | IllegalStateException e) {
			line("note", ",\"text\":\"begin " + e.getClass().getSimpleName() + "\"");
			stopProducer();
			return;
		}
		n++;
		opRecords = 0;
		if (subscribes)
			read.clear();
		line("begin", ",\"n\":" + n + ",\"txn\":true");
		fillOp();
		boolean commits = !hasFailed && random.nextInt(7) > 0;
		if (!commits && !hasFailed && random.nextInt(4) > 0)
			flush();        /* what is aborted shall be in the log, mostly */
		line("end", ",\"n\":" + n + ",\"as\":\"" + (commits ? "commit" : "abort") + "\"");
		Outcome outcome = end(commits);
		line(outcome.name().toLowerCase(), ",\"n\":" + n + ",\"err\":\"" + (why == null ? "" : why.getClass().getSimpleName()) + "\"");
		if (outcome != Outcome.OK)
			rewind();
		else if (random.nextInt(3) == 0)
			tellCommitted();
	}

	void work() {
		line("start", ",\"isolation\":\"read_committed\",\"consume\":\"" + (subscribes ? "subscribe" : "assign") + "\",\"group\":\""
			+ group + "\",\"id\":\"" + options.getOrDefault('i', name) + "\"");
		startConsumer();
		while (!isStopping()) {
			if (producer == null)
				startProducer();
			if (producer != null)
				workOnce();
		}
		tellCommitted();
	}

	/* ---- copy ---- */

	void copyTransaction(List<ConsumerRecord<String, String>> records) {
		int count = Integer.parseInt(options.getOrDefault('c', "750"));
		hasFailed = false;
		try {
			producer.beginTransaction();
			while (!records.isEmpty() && !hasFailed) {
				for (ConsumerRecord<String, String> r : records) {
					int shift = options.containsKey('O') ? (int) (r.offset() % partitions) : 0;
					producer.send(new ProducerRecord<>(options.get('T'), (r.partition() + shift) % partitions, null, r.value()));
				}
				records = new ArrayList<>();
				if (opRecords < count)
					poll(200).forEach(records::add);
			}
		} catch (KafkaException | IllegalStateException e) {
			hasFailed = true;
		}
		if (!hasFailed && !sendOffsets(read, !options.containsKey('M')))
			hasFailed = true;
		if (end(!hasFailed) != Outcome.OK) {
			System.err.println(name + ": a transaction of " + opRecords + " records ended without success: " + why);
			rewind();
		}
	}

	void copy() {
		startConsumer();
		while (!isStopping()) {
			if (producer == null)
				startProducer();
			if (producer == null)
				break;
			opRecords = 0;
			read.clear();
			List<ConsumerRecord<String, String>> first = new ArrayList<>();
			poll(200).forEach(first::add);
			if (!first.isEmpty())
				copyTransaction(first);
		}
	}

	/* ---- drive: one command a line, one answer a line, as drive.c has them; and many ---- */

	void obey(String[] words) throws Exception {
		switch (words[0]) {
		case "init" -> producer.initTransactions();
		case "begin" -> producer.beginTransaction();
		case "send" -> producer.send(new ProducerRecord<>(topic, Integer.parseInt(words[1]), null, words[2]), (where, e) -> {
			if (e != null && why == null)
				why = e;
		});
		case "offsets" -> offsets(words);
		case "flush" -> {
			producer.flush();
			if (why != null)
				throw why;
		}
		case "many" -> {        /* COUNT FIRST: so many transactions of one record, to partition 0 */
			for (long i = 0; i < Long.parseLong(words[1]); i++) {
				producer.beginTransaction();
				producer.send(new ProducerRecord<>(topic, 0, null, "" + (Long.parseLong(words[2]) + i)));
				throwUnless(tryEnd(true));
			}
		}
		case "commit" -> throwUnless(tryEnd(true));
		case "abort" -> throwUnless(tryEnd(false));
		default -> throw new IllegalArgumentException(words[0]);
		}
	}

	static void throwUnless(Exception e) throws Exception {
		if (e != null)
			throw e;
	}

	@SuppressWarnings("removal")
	void offsets(String[] words) {
		producer.sendOffsetsToTransaction(Map.of(new TopicPartition(topic, Integer.parseInt(words[2])),
			new OffsetAndMetadata(Long.parseLong(words[3]))), new ConsumerGroupMetadata(words[1]));
	}

	void drive() throws IOException {
		java.io.BufferedReader in = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
		makeProducer();
		for (String command = in.readLine(); command != null; command = in.readLine()) {
			String[] words = command.split(" ");
			if (words[0].equals("begin"))
				why = null;
			try {
				obey(words);
				System.out.println("ok");
			} catch (Exception e) {
				System.out.println("error " + e.getClass().getSimpleName());
			}
		}
		stopProducer();
	}

	public static void main(String[] args) throws IOException {
		if (args[0].equals("drive")) {
			new TxnClient(args).drive();
			return;
		}
		watchStdin();
		if (args[0].equals("copy"))
			args = java.util.stream.Stream.concat(java.util.Arrays.stream(args), java.util.stream.Stream.of("-s")).toArray(String[]::new);
		TxnClient client = new TxnClient(args);
		if (args[0].equals("copy"))
			client.copy();
		else
			client.work();
		client.stopProducer();
		client.consumer.close();
	}
}
