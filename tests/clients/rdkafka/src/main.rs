//! The steps of tests/clients/README.md with rust-rdkafka, over the machine's librdkafka.

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 1000;
const KEYS: usize = 50;
const GROUP_RECORDS: i64 = 100;
const KEPT: usize = 100;
const DROPPED: usize = 50;
const LIMIT: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(100);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const FILLER: &str = "the same words again and again, the same words again and again";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn check(condition: bool, sentence: impl FnOnce() -> String) -> Outcome<()> {
    if condition {
        return Ok(());
    }
    Err(sentence().into())
}

fn passed(step: &str) {
    println!("ok {step}");
}

/// Looks again and again; condition does the waiting.
fn until(mut condition: impl FnMut() -> Outcome<bool>, sentence: impl Fn() -> String) -> Outcome<()> {
    let end = Instant::now() + LIMIT;
    while !condition()? {
        check(Instant::now() < end, || format!("timed out: {}", sentence()))?;
    }
    Ok(())
}

/// Counts what was acknowledged.
#[derive(Default)]
struct Acknowledged {
    count: AtomicUsize,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if result.is_ok() {
            self.count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

struct Sent {
    partition: Option<i32>,
    key: Option<String>,
    value: String,
    header: Option<String>,
    timestamp: Option<i64>,
}

/// All of them, or an error.
fn send(producer: &BaseProducer<Acknowledged>, topic: &str, records: &[Sent]) -> Outcome<()> {
    let before = producer.context().count.load(Ordering::SeqCst);
    for r in records {
        let mut record = BaseRecord::<String, String>::to(topic).payload(&r.value);
        record.partition = r.partition;
        record.key = r.key.as_ref();
        record.timestamp = r.timestamp;
        if let Some(value) = &r.header {
            record = record.headers(OwnedHeaders::new().insert(Header { key: "i", value: Some(value) }));
        }
        producer.send(record).map_err(|(e, _)| e)?;
    }
    let _ = producer.flush(LIMIT);
    let done = producer.context().count.load(Ordering::SeqCst) - before;
    check(done == records.len(), || format!("{topic}: {done} of {} records were acknowledged", records.len()))
}

fn partitions_of(topic: &str, partitions: &[(i32, Offset)]) -> Outcome<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (p, offset) in partitions {
        list.add_partition_offset(topic, *p, *offset)?;
    }
    Ok(list)
}

struct Member {
    consumer: BaseConsumer,
    topic: String,
    seen: BTreeSet<(i32, i64)>,
}

impl Member {
    fn join(run: &Run, topic: &str) -> Outcome<Member> {
        let consumer = run.consumer(topic, "read_committed")?;
        consumer.subscribe(&[topic])?;
        Ok(Member { consumer, topic: topic.to_owned(), seen: BTreeSet::new() })
    }

    fn poll(&mut self) -> Outcome<()> {
        if let Some(message) = self.consumer.poll(TICK) {
            let m = message?;
            let wanted = format!("{} {} {FILLER}", m.partition(), m.offset());
            check(m.payload() == Some(wanted.as_bytes()), || format!("group: a wrong record: {m:?}"))?;
            self.seen.insert((m.partition(), m.offset()));
        }
        Ok(())
    }

    fn assigned(&self) -> Outcome<BTreeSet<i32>> {
        Ok(self.consumer.assignment()?.elements().iter().map(|e| e.partition()).collect())
    }

    /// How many records of the partitions that it has now.
    fn seen_now(&self) -> Outcome<i64> {
        let assigned = self.assigned()?;
        Ok(self.seen.iter().filter(|(p, _)| assigned.contains(p)).count() as i64)
    }

    fn commit(&self) -> Outcome<()> {
        let offsets: Vec<_> = self.assigned()?.iter().map(|p| (*p, Offset::Offset(30 + i64::from(*p)))).collect();
        Ok(self.consumer.commit(&partitions_of(&self.topic, &offsets)?, CommitMode::Sync)?)
    }
}

fn wait_assigned(members: &mut [&mut Member], counts: &[usize]) -> Outcome<()> {
    let mut all = BTreeSet::new();
    let reached = || {
        all.clear();
        let mut now = Vec::new();
        for m in members.iter_mut() {
            m.poll()?;
            let assigned = m.assigned()?;
            now.push(assigned.len());
            all.extend(assigned);
        }
        Ok(now == counts && all.len() == PARTITIONS as usize)
    };
    until(reached, || format!("group: assigned are not {counts:?}"))
}

struct Run {
    bootstrap: String,
    prefix: String,
    /// The timestamp of record 0: an hour ago, no retention reaches that far.
    began_ms: i64,
    admin: AdminClient<DefaultClientContext>,
}

impl Run {
    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn consumer(&self, group: &str, isolation: &str) -> Outcome<BaseConsumer> {
        Ok(self
            .config()
            .set("group.id", group)
            .set("isolation.level", isolation)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "500")
            .create()?)
    }

    fn reader(&self, group: &str, isolation: &str, topic: &str) -> Outcome<BaseConsumer> {
        let consumer = self.consumer(group, isolation)?;
        let all: Vec<_> = (0..PARTITIONS).map(|p| (p, Offset::Beginning)).collect();
        consumer.assign(&partitions_of(topic, &all)?)?;
        Ok(consumer)
    }

    fn producer(&self, codec: &str) -> Outcome<BaseProducer<Acknowledged>> {
        Ok(self
            .config()
            .set("enable.idempotence", "true")
            .set("compression.type", codec)
            .create_with_context(Acknowledged::default())?)
    }

    /// How many partitions the metadata shows; 0 when it does not know the topic.
    fn partitions(&self, topic: &str) -> Outcome<usize> {
        let metadata = self.admin.inner().fetch_metadata(None, LIMIT)?;
        Ok(metadata.topics().iter().find(|t| t.name() == topic).map_or(0, |t| t.partitions().len()))
    }

    fn topics(&self) -> Outcome<()> {
        let names: Vec<String> = CODECS.iter().chain(&["group", "txn"]).map(|what| self.name(what)).collect();
        let wanted: Vec<_> = names.iter().map(|n| NewTopic::new(n, PARTITIONS, TopicReplication::Fixed(1))).collect();
        for result in block_on(self.admin.create_topics(&wanted, &AdminOptions::new()))? {
            result.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        for name in &names {
            until(|| Ok(self.partitions(name)? == PARTITIONS as usize), || format!("{name} is not in the metadata"))?;
        }
        passed("topics");
        Ok(())
    }

    fn codec_record(&self, codec: &str, i: usize) -> Sent {
        Sent {
            partition: None,
            key: Some(format!("key-{}", i % KEYS)),
            value: format!("{codec} {i} {FILLER}"),
            header: Some(i.to_string()),
            timestamp: Some(self.began_ms + i as i64),
        }
    }

    /// The record's number; an error when anything of it is not as it was sent.
    fn codec_check(&self, codec: &str, m: &BorrowedMessage<'_>) -> Outcome<usize> {
        let header = m.headers().filter(|h| h.count() == 1).map(|h| h.get(0));
        let text = header.filter(|h| h.key == "i").and_then(|h| h.value).unwrap_or_default();
        let i: usize = std::str::from_utf8(text)?.parse()?;
        let wanted = self.codec_record(codec, i);
        let same = m.key() == wanted.key.as_deref().map(str::as_bytes)
            && m.payload() == Some(wanted.value.as_bytes())
            && m.timestamp().to_millis() == wanted.timestamp;
        check(i < RECORDS && same, || format!("{codec}: record {i} came back as {m:?}"))?;
        Ok(i)
    }

    fn codec(&self, codec: &str) -> Outcome<()> {
        let topic = self.name(codec);
        let records: Vec<_> = (0..RECORDS).map(|i| self.codec_record(codec, i)).collect();
        send(&self.producer(codec)?, &topic, &records)?;
        let consumer = self.reader(&self.name("unused"), "read_committed", &topic)?;
        let mut last: HashMap<usize, (i32, usize)> = HashMap::new();
        let mut seen = BTreeSet::new();
        let read = || {
            if let Some(message) = consumer.poll(TICK) {
                let m = message?;
                let i = self.codec_check(codec, &m)?;
                check(seen.insert(i), || format!("{codec}: record {i} came twice"))?;
                let before = last.insert(i % KEYS, (m.partition(), i));
                check(before.map_or(true, |(p, j)| p == m.partition() && j < i), || {
                    format!("{codec}: record {i} is in partition {}, before it came {before:?}", m.partition())
                })?;
            }
            Ok(seen.len() == RECORDS)
        };
        until(read, || format!("{codec}: not all records came back"))?;
        passed(codec);
        Ok(())
    }

    fn group(&self) -> Outcome<()> {
        let topic = self.name("group");
        let record = |p: i32, i: i64| Sent {
            partition: Some(p),
            key: None,
            value: format!("{p} {i} {FILLER}"),
            header: None,
            timestamp: None,
        };
        let records: Vec<_> = (0..PARTITIONS).flat_map(|p| (0..GROUP_RECORDS).map(move |i| record(p, i))).collect();
        send(&self.producer("none")?, &topic, &records)?;
        let mut a = Member::join(self, &topic)?;
        wait_assigned(&mut [&mut a], &[4])?;
        let mut b = Member::join(self, &topic)?;
        wait_assigned(&mut [&mut a, &mut b], &[2, 2])?;
        let all_read = || {
            a.poll()?;
            b.poll()?;
            Ok(a.seen_now()? + b.seen_now()? == i64::from(PARTITIONS) * GROUP_RECORDS)
        };
        until(all_read, || "group: two members did not see all records".to_owned())?;
        a.commit()?;
        b.commit()?;
        drop(b);
        wait_assigned(&mut [&mut a], &[4])?;
        drop(a);
        self.resume(&topic)?;
        passed("group");
        Ok(())
    }

    /// A third member sees all from the committed offsets on and nothing before them.
    fn resume(&self, topic: &str) -> Outcome<()> {
        let behind = |p: i32| (30 + i64::from(p)..GROUP_RECORDS).map(move |i| (p, i));
        let wanted: BTreeSet<_> = (0..PARTITIONS).flat_map(behind).collect();
        let mut c = Member::join(self, topic)?;
        let read = || {
            c.poll()?;
            Ok(c.seen.len() >= wanted.len())
        };
        until(read, || "group: after the commit not all records came".to_owned())?;
        check(c.seen == wanted, || "group: it did not go on behind the committed offsets".to_owned())?;
        for p in 0..PARTITIONS {
            self.offset_is(&c.consumer, topic, p, 30 + i64::from(p))?;
        }
        Ok(())
    }

    fn offset_is(&self, consumer: &BaseConsumer, topic: &str, p: i32, wanted: i64) -> Outcome<()> {
        let committed = || {
            let list = consumer.committed_offsets(partitions_of(topic, &[(p, Offset::Invalid)])?, LIMIT)?;
            Ok(list.elements()[0].offset() == Offset::Offset(wanted))
        };
        until(committed, || format!("{topic}: the group's offset of partition {p} is not {wanted}"))
    }

    fn transaction_records(word: &str, from: usize, count: usize) -> Vec<Sent> {
        let record = |i: usize| Sent {
            partition: Some(i as i32 % PARTITIONS),
            key: None,
            value: format!("{word} {i}"),
            header: None,
            timestamp: None,
        };
        (from..from + count).map(record).collect()
    }

    fn transaction(&self) -> Outcome<()> {
        let topic = self.name("txn");
        let producer: BaseProducer<Acknowledged> =
            self.config().set("transactional.id", &topic).create_with_context(Acknowledged::default())?;
        let consumer = self.consumer(&topic, "read_committed")?;
        producer.init_transactions(LIMIT)?;
        let one = |records: Vec<Sent>, offset: i64, commit: bool| -> Outcome<()> {
            producer.begin_transaction()?;
            send(&producer, &topic, &records)?;
            let group = consumer.group_metadata().ok_or("transaction: the consumer has no group")?;
            let offsets = partitions_of(&topic, &[(0, Offset::Offset(offset))])?;
            producer.send_offsets_to_transaction(&offsets, &group, LIMIT)?;
            Ok(if commit { producer.commit_transaction(LIMIT)? } else { producer.abort_transaction(LIMIT)? })
        };
        one(Self::transaction_records("kept", 0, KEPT / 2), 3, true)?;
        one(Self::transaction_records("dropped", 0, DROPPED), 5, false)?;
        self.offset_is(&consumer, &topic, 0, 3)?;
        one(Self::transaction_records("kept", KEPT / 2, KEPT / 2), 7, true)?;
        self.offset_is(&consumer, &topic, 0, 7)?;
        let mut wanted: BTreeSet<String> = (0..KEPT).map(|i| format!("kept {i}")).collect();
        self.transaction_read(&topic, "read_committed", &wanted)?;
        wanted.extend((0..DROPPED).map(|i| format!("dropped {i}")));
        self.transaction_read(&topic, "read_uncommitted", &wanted)?;
        passed("transaction");
        Ok(())
    }

    fn transaction_read(&self, topic: &str, isolation: &str, wanted: &BTreeSet<String>) -> Outcome<()> {
        let consumer = self.reader(&self.name("unused"), isolation, topic)?;
        let mut seen = BTreeSet::new();
        let read = || {
            if let Some(message) = consumer.poll(TICK) {
                let value = String::from_utf8(message?.payload().unwrap_or_default().to_vec())?;
                check(wanted.contains(&value), || format!("{isolation}: {value} came"))?;
                check(seen.insert(value), || format!("{isolation}: a record came twice"))?;
            }
            Ok(seen.len() == wanted.len())
        };
        until(read, || format!("{isolation}: not all records came"))
    }

    fn delete(&self) -> Outcome<()> {
        let topic = self.name("none");
        for result in block_on(self.admin.delete_topics(&[&topic], &AdminOptions::new()))? {
            result.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        until(|| Ok(self.partitions(&topic)? == 0), || format!("{topic} is still in the metadata"))?;
        passed("delete");
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let bootstrap = args.next().ok_or("usage: client BOOTSTRAP PREFIX")?;
    let prefix = args.next().ok_or("usage: client BOOTSTRAP PREFIX")?;
    let hour_ago = SystemTime::now().duration_since(UNIX_EPOCH)? - Duration::from_secs(3600);
    let admin = ClientConfig::new().set("bootstrap.servers", &bootstrap).create()?;
    let run = Run { bootstrap, prefix, began_ms: hour_ago.as_millis() as i64, admin };
    run.topics()?;
    for codec in CODECS {
        run.codec(codec)?;
    }
    run.group()?;
    if std::env::var_os("KS_TEST_NO_TRANSACTIONS").is_none() {
        run.transaction()?;
    }
    run.delete()
}
