//! The steps of tests/clients/README.md that rskafka has: it knows no groups, no transactions and no idempotence, so
//! it sends to partitions that it chooses itself and reads them by offset. Its own step is "offsets".

use chrono::DateTime;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 1000;
const KEYS: usize = 50;
const LIMIT: Duration = Duration::from_secs(60);
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

fn codec_record(codec: &str, i: usize, began_ms: i64) -> Record {
    Record {
        key: Some(format!("key-{}", i % KEYS).into_bytes()),
        value: Some(format!("{codec} {i} {FILLER}").into_bytes()),
        headers: BTreeMap::from([("i".to_owned(), i.to_string().into_bytes())]),
        timestamp: DateTime::from_timestamp_millis(began_ms + i as i64).unwrap(),
    }
}

/// The numbers of the records that go to a partition, in order.
fn numbers_of(partition: i32) -> impl Iterator<Item = usize> {
    (0..RECORDS).filter(move |i| (i % KEYS) as i32 % PARTITIONS == partition)
}

struct Run {
    client: Client,
    prefix: String,
    /// The timestamp of record 0: an hour ago, no retention reaches that far.
    began_ms: i64,
}

impl Run {
    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    async fn partition(&self, what: &str, partition: i32) -> Outcome<PartitionClient> {
        Ok(self.client.partition_client(self.name(what), partition, UnknownTopicHandling::Retry).await?)
    }

    /// How many partitions the metadata shows; 0 when it does not know the topic.
    async fn partitions(&self, topic: &str) -> Outcome<usize> {
        let topics = self.client.list_topics().await?;
        Ok(topics.iter().find(|t| t.name == topic).map_or(0, |t| t.partitions.len()))
    }

    async fn topics(&self, codecs: &[(&str, Compression)]) -> Outcome<()> {
        let controller = self.client.controller_client()?;
        for (codec, _) in codecs {
            let topic = self.name(codec);
            controller.create_topic(topic.as_str(), PARTITIONS, 1, 10_000).await?;
            let partitions = self.partitions(&topic).await?;
            check(partitions == PARTITIONS as usize, || format!("{topic} has {partitions} partitions"))?;
        }
        passed("topics");
        Ok(())
    }

    async fn codec(&self, codec: &str, compression: Compression) -> Outcome<()> {
        for p in 0..PARTITIONS {
            let partition = self.partition(codec, p).await?;
            let records = numbers_of(p).map(|i| codec_record(codec, i, self.began_ms)).collect();
            let offsets = partition.produce(records, compression).await?;
            check(offsets.iter().copied().eq(0..numbers_of(p).count() as i64), || {
                format!("{codec}: the offsets of partition {p} are {offsets:?}")
            })?;
            self.read_back(codec, p, &partition).await?;
        }
        passed(codec);
        Ok(())
    }

    async fn read_back(&self, codec: &str, p: i32, partition: &PartitionClient) -> Outcome<()> {
        let wanted: Vec<usize> = numbers_of(p).collect();
        let end = Instant::now() + LIMIT;
        let mut next = 0;
        while next < wanted.len() {
            check(Instant::now() < end, || format!("{codec}: {next} records of partition {p} came back"))?;
            let (records, _) = partition.fetch_records(next as i64, 1..1_000_000, 500).await?;
            for r in records {
                check(r.offset == next as i64 && r.record == codec_record(codec, wanted[next], self.began_ms), || {
                    format!("{codec}: offset {next} of partition {p} has {r:?}")
                })?;
                next += 1;
            }
        }
        Ok(())
    }

    /// First and last offsets, before and after records are deleted.
    async fn offsets(&self) -> Outcome<()> {
        let partition = self.partition("gzip", 1).await?;
        let last = numbers_of(1).count() as i64;
        for first in [0, 10] {
            if first > 0 {
                partition.delete_records(first, 10_000).await?;
            }
            let found = (partition.get_offset(OffsetAt::Earliest).await?, partition.get_offset(OffsetAt::Latest).await?);
            check(found == (first, last), || format!("offsets: {found:?}, not ({first}, {last})"))?;
        }
        passed("offsets");
        Ok(())
    }

    async fn delete(&self) -> Outcome<()> {
        let topic = self.name("none");
        let end = Instant::now() + LIMIT;
        self.client.controller_client()?.delete_topic(topic.as_str(), 10_000).await?;
        while self.partitions(&topic).await? > 0 {
            check(Instant::now() < end, || format!("{topic} is still in the metadata"))?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        passed("delete");
        Ok(())
    }
}

async fn run(bootstrap: String, prefix: String) -> Outcome<()> {
    let codecs = [
        ("none", Compression::NoCompression),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];
    let hour_ago = SystemTime::now().duration_since(UNIX_EPOCH)? - Duration::from_secs(3600);
    let client = ClientBuilder::new(vec![bootstrap]).build().await?;
    let run = Run { client, prefix, began_ms: hour_ago.as_millis() as i64 };
    run.topics(&codecs).await?;
    for (codec, compression) in codecs {
        run.codec(codec, compression).await?;
    }
    run.offsets().await?;
    run.delete().await
}

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let (Some(bootstrap), Some(prefix)) = (args.next(), args.next()) else {
        return Err("usage: client BOOTSTRAP PREFIX".into());
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(bootstrap, prefix))
}
