// The steps with franz-go.
package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"ks.tests/clients/steps"
)

type client struct {
	bootstrap string
	admin     *kadm.Client
}

func limit() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), steps.Limit)
	time.AfterFunc(steps.Limit, cancel)
	return ctx
}

func (c *client) open(options ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append(options, kgo.SeedBrokers(c.bootstrap))...)
	steps.Must(err, "NewClient")
	return cl
}

func open(bootstrap string) steps.Client {
	c := &client{bootstrap: bootstrap}
	c.admin = kadm.NewClient(c.open(kgo.MetadataMinAge(50 * time.Millisecond)))
	return c
}

func (c *client) CreateTopic(topic string, partitions int32) {
	_, err := c.admin.CreateTopic(limit(), partitions, 1, nil, topic)
	steps.Must(err, "CreateTopic")
}

func (c *client) Partitions(topic string) int {
	topics, err := c.admin.ListTopics(limit())
	steps.Must(err, "ListTopics")
	return len(topics[topic].Partitions)
}

func (c *client) DeleteTopic(topic string) {
	_, err := c.admin.DeleteTopic(limit(), topic)
	steps.Must(err, "DeleteTopic")
}

// chosen takes the partition of the record where it names one.
func chosen() kgo.Partitioner {
	return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
		keyed := kgo.StickyKeyPartitioner(nil).ForTopic("")
		return func(r *kgo.Record, n int) int {
			if r.Partition >= 0 {
				return int(r.Partition)
			}
			return keyed.Partition(r, n)
		}
	})
}

func produce(cl *kgo.Client, topic string, list []steps.Record) {
	var sent []*kgo.Record
	for _, r := range list {
		record := &kgo.Record{Topic: topic, Partition: r.Partition, Value: []byte(r.Value), Timestamp: time.UnixMilli(r.TimestampMs)}
		if r.Key != "" {
			record.Key = []byte(r.Key)
		}
		if r.Number >= 0 {
			record.Headers = []kgo.RecordHeader{{Key: "i", Value: []byte(strconv.Itoa(r.Number))}}
		}
		sent = append(sent, record)
	}
	steps.Must(cl.ProduceSync(limit(), sent...).FirstErr(), "ProduceSync")
}

func (c *client) Produce(topic, codec string, list []steps.Record) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	cl := c.open(kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(chosen()))
	produce(cl, topic, list)
	cl.Close()
}

type consumer struct {
	cl       *kgo.Client
	topic    string
	mutex    sync.Mutex
	assigned map[int32]bool
}

func recordsOf(fetches kgo.Fetches) (list []steps.Record) {
	fetches.EachError(func(topic string, partition int32, err error) {
		if err != context.DeadlineExceeded {
			steps.Fail("fetch of %s %d: %v", topic, partition, err)
		}
	})
	fetches.EachRecord(func(r *kgo.Record) {
		number := -1
		for _, h := range r.Headers {
			if h.Key == "i" {
				number, _ = strconv.Atoi(string(h.Value))
			}
		}
		list = append(list, steps.Record{Partition: r.Partition, Offset: r.Offset, Key: string(r.Key), Value: string(r.Value),
			Number: number, TimestampMs: r.Timestamp.UnixMilli()})
	})
	return list
}

func (k *consumer) Poll() []steps.Record {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	return recordsOf(k.cl.PollFetches(ctx))
}

func (k *consumer) Assigned() []int32 {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return slices.Sorted(maps.Keys(k.assigned))
}

func (k *consumer) Commit(offsets map[int32]int64) {
	list := map[string]map[int32]kgo.EpochOffset{k.topic: {}}
	for p, o := range offsets {
		list[k.topic][p] = kgo.EpochOffset{Epoch: -1, Offset: o}
	}
	k.cl.CommitOffsetsSync(limit(), list, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		steps.Must(err, "CommitOffsets")
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				steps.Must(kerr.ErrorForCode(p.ErrorCode), "CommitOffsets of a partition")
			}
		}
	})
}

func (k *consumer) Close() {
	k.cl.Close()
}

func isolationLevel(isolation string) kgo.IsolationLevel {
	if isolation == "read_committed" {
		return kgo.ReadCommitted()
	}
	return kgo.ReadUncommitted()
}

func (c *client) Assign(topic string, partitions int32, isolation string) steps.Consumer {
	offsets := map[int32]kgo.Offset{}
	for p := range partitions {
		offsets[p] = kgo.NewOffset().AtStart()
	}
	return &consumer{cl: c.open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}),
		kgo.FetchIsolationLevel(isolationLevel(isolation)))}
}

func (c *client) Join(group, topic, protocol string) steps.Consumer {
	k := &consumer{topic: topic, assigned: map[int32]bool{}}
	set := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			k.mutex.Lock()
			defer k.mutex.Unlock()
			for _, p := range partitions[topic] {
				if has {
					k.assigned[p] = true
				} else {
					delete(k.assigned, p)
				}
			}
		}
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(set(true)), kgo.OnPartitionsRevoked(set(false)), kgo.OnPartitionsLost(set(false)),
	}
	if protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	}
	k.cl = c.open(options...)
	return k
}

func (c *client) Committed(group, topic string) int64 {
	offsets, err := c.admin.FetchOffsets(limit(), group)
	steps.Must(err, "FetchOffsets")
	o, found := offsets.Lookup(topic, 0)
	if !found {
		return -1
	}
	steps.Must(o.Err, "FetchOffsets of a partition")
	return o.At
}

type transactional struct {
	session *kgo.GroupTransactSession
}

func (c *client) Transactional(id, group, in string) steps.Transactional {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(c.bootstrap), kgo.TransactionalID(id), kgo.ConsumerGroup(group), kgo.ConsumeTopics(in),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(), kgo.RecordPartitioner(chosen()))
	steps.Must(err, "NewGroupTransactSession")
	return &transactional{session}
}

func (t *transactional) Transaction(topic string, list []steps.Record, consume int64, commit bool) {
	for left := int(consume); left > 0; {
		got := len(recordsOf(t.session.PollRecords(limit(), left)))
		if got == 0 {
			steps.Fail("transaction: the input has %d records less", left)
		}
		left -= got
	}
	steps.Must(t.session.Begin(), "Begin")
	produce(t.session.Client(), topic, list)
	committed, err := t.session.End(limit(), kgo.TransactionEndTry(commit))
	steps.Must(err, "End")
	if committed != commit {
		steps.Fail("transaction: committed is %v", committed)
	}
}

func (t *transactional) Close() {
	t.session.Close()
}

func (c *client) GroupProtocols() []string {
	return []string{"classic", "consumer"}
}

func (c *client) Close() {
	c.admin.Close()
}

func main() {
	steps.Run(open)
}
