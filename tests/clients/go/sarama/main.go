// The steps with sarama.
package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"ks.tests/clients/steps"
)

type client struct {
	bootstrap string
	admin     sarama.ClusterAdmin
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = newPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Consumer.Return.Errors = true
	c.Consumer.Group.Session.Timeout = 10 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	return c
}

func idempotent() *sarama.Config {
	c := config()
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	return c
}

// partitioner takes the partition of a record where it names one.
type partitioner struct {
	keyed sarama.Partitioner
}

func newPartitioner(topic string) sarama.Partitioner {
	return &partitioner{sarama.NewHashPartitioner(topic)}
}

func (p *partitioner) Partition(m *sarama.ProducerMessage, n int32) (int32, error) {
	if chosen := m.Metadata.(int32); chosen >= 0 {
		return chosen, nil
	}
	return p.keyed.Partition(m, n)
}

func (p *partitioner) RequiresConsistency() bool {
	return true
}

func open(bootstrap string) steps.Client {
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, config())
	steps.Must(err, "NewClusterAdmin")
	return &client{bootstrap, admin}
}

func (c *client) CreateTopic(topic string, partitions int32) {
	steps.Must(c.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false), "CreateTopic")
}

func (c *client) Partitions(topic string) int {
	topics, err := c.admin.ListTopics()
	steps.Must(err, "ListTopics")
	return int(topics[topic].NumPartitions)
}

func (c *client) DeleteTopic(topic string) {
	steps.Must(c.admin.DeleteTopic(topic), "DeleteTopic")
}

func send(producer sarama.SyncProducer, topic string, list []steps.Record) {
	var messages []*sarama.ProducerMessage
	for _, r := range list {
		m := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(r.Value), Metadata: r.Partition, Timestamp: time.UnixMilli(r.TimestampMs)}
		if r.Key != "" {
			m.Key = sarama.StringEncoder(r.Key)
		}
		if r.Number >= 0 {
			m.Headers = []sarama.RecordHeader{{Key: []byte("i"), Value: []byte(strconv.Itoa(r.Number))}}
		}
		messages = append(messages, m)
	}
	steps.Must(producer.SendMessages(messages), "SendMessages")
}

func (c *client) Produce(topic, codec string, list []steps.Record) {
	cfg := idempotent()
	steps.Must(cfg.Producer.Compression.UnmarshalText([]byte(codec)), codec)
	producer, err := sarama.NewSyncProducer([]string{c.bootstrap}, cfg)
	steps.Must(err, "NewSyncProducer")
	send(producer, topic, list)
	steps.Must(producer.Close(), "Close of a producer")
}

func recordOf(m *sarama.ConsumerMessage) steps.Record {
	number := -1
	for _, h := range m.Headers {
		if string(h.Key) == "i" {
			number, _ = strconv.Atoi(string(h.Value))
		}
	}
	return steps.Record{Partition: m.Partition, Offset: m.Offset, Key: string(m.Key), Value: string(m.Value),
		Number: number, TimestampMs: m.Timestamp.UnixMilli()}
}

// drain takes what has come, waiting 100 ms at most for the first.
func drain(records <-chan steps.Record) (list []steps.Record) {
	select {
	case r := <-records:
		list = append(list, r)
	case <-time.After(100 * time.Millisecond):
		return nil
	}
	for {
		select {
		case r := <-records:
			list = append(list, r)
		default:
			return list
		}
	}
}

// assigned is a consumer of partitions that it was told.
type assigned struct {
	consumer   sarama.Consumer
	partitions []sarama.PartitionConsumer
	records    chan steps.Record
	stop       chan struct{}
}

func (c *client) Assign(topic string, partitions int32, isolation string) steps.Consumer {
	cfg := config()
	if isolation == "read_committed" {
		cfg.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	consumer, err := sarama.NewConsumer([]string{c.bootstrap}, cfg)
	steps.Must(err, "NewConsumer")
	a := &assigned{consumer: consumer, records: make(chan steps.Record, 1000), stop: make(chan struct{})}
	for p := range partitions {
		pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		steps.Must(err, "ConsumePartition")
		a.partitions = append(a.partitions, pc)
		go a.forward(pc)
	}
	return a
}

func (a *assigned) forward(pc sarama.PartitionConsumer) {
	for {
		select {
		case m, more := <-pc.Messages():
			if !more {
				return
			}
			select {
			case a.records <- recordOf(m):
			case <-a.stop:
				return
			}
		case err := <-pc.Errors():
			if err != nil {
				steps.Fail("partition consumer: %v", err)
			}
		}
	}
}

func (a *assigned) Poll() []steps.Record {
	return drain(a.records)
}

func (a *assigned) Assigned() []int32 {
	return nil
}

func (a *assigned) Commit(map[int32]int64) {
	steps.Fail("a consumer without a group commits nothing")
}

func (a *assigned) Close() {
	close(a.stop)
	for _, pc := range a.partitions {
		pc.AsyncClose()
	}
	steps.Must(a.consumer.Close(), "Close of a consumer")
}

// member is one of a group; its session changes with every rebalance.
type member struct {
	topic   string
	group   sarama.ConsumerGroup
	cancel  context.CancelFunc
	ended   chan struct{}
	records chan steps.Record

	mutex   sync.Mutex
	session sarama.ConsumerGroupSession // nil between generations
}

func (m *member) Setup(s sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session = s
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session = nil
	return nil
}

func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				return nil
			}
			select {
			case m.records <- recordOf(message):
			case <-s.Context().Done():
				return nil
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

func (c *client) Join(group, topic, _ string) steps.Consumer {
	joined, err := sarama.NewConsumerGroup([]string{c.bootstrap}, group, config())
	steps.Must(err, "NewConsumerGroup")
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{topic: topic, group: joined, cancel: cancel, ended: make(chan struct{}), records: make(chan steps.Record, 1000)}
	go func() {
		for err := range joined.Errors() {
			steps.Fail("consumer group: %v", err)
		}
	}()
	go func() {
		defer close(m.ended)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
				steps.Fail("Consume: %v", err)
			}
		}
	}()
	return m
}

func (m *member) Poll() []steps.Record {
	return drain(m.records)
}

func (m *member) Assigned() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.session == nil {
		return nil
	}
	return slices.Sorted(slices.Values(m.session.Claims()[m.topic]))
}

func (m *member) Commit(offsets map[int32]int64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, p := range slices.Sorted(maps.Keys(offsets)) {
		m.session.MarkOffset(m.topic, p, offsets[p], "")
	}
	m.session.Commit()
}

func (m *member) Close() {
	m.cancel()
	<-m.ended
	steps.Must(m.group.Close(), "Close of a group member")
}

func (c *client) Committed(group, topic string) int64 {
	answer, err := c.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	steps.Must(err, "ListConsumerGroupOffsets")
	block := answer.GetBlock(topic, 0)
	if block == nil {
		return -1
	}
	return block.Offset
}

// transactional keeps the place of the input itself: sarama takes offsets from its caller.
type transactional struct {
	producer  sarama.SyncProducer
	group, in string
	committed int64
}

func (c *client) Transactional(id, group, in string) steps.Transactional {
	cfg := idempotent()
	cfg.Producer.Transaction.ID = id
	producer, err := sarama.NewSyncProducer([]string{c.bootstrap}, cfg)
	steps.Must(err, "NewSyncProducer with a transactional id")
	return &transactional{producer: producer, group: group, in: in}
}

func (t *transactional) Transaction(topic string, list []steps.Record, consume int64, commit bool) {
	steps.Must(t.producer.BeginTxn(), "BeginTxn")
	send(t.producer, topic, list)
	next := t.committed + consume
	steps.Must(t.producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{
		t.in: {{Partition: 0, Offset: next, LeaderEpoch: -1}}}, t.group), "AddOffsetsToTxn")
	if !commit {
		steps.Must(t.producer.AbortTxn(), "AbortTxn")
		return
	}
	steps.Must(t.producer.CommitTxn(), "CommitTxn")
	t.committed = next
}

func (t *transactional) Close() {
	steps.Must(t.producer.Close(), "Close of a transactional producer")
}

func (c *client) GroupProtocols() []string {
	return []string{"classic"}
}

func (c *client) Close() {
	steps.Must(c.admin.Close(), "Close of the admin client")
}

func main() {
	steps.Run(open)
}
