// Package steps walks through the steps of tests/clients/README.md with any client written in Go.
package steps

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	Partitions   = 4
	records      = 1000
	keys         = 50
	groupRecords = 100
	kept         = 100
	dropped      = 50
	filler       = "the same words again and again, the same words again and again"

	// Limit is how long any step waits for the broker.
	Limit = 60 * time.Second
)

// The first record's timestamp is an hour ago: no retention reaches that far.
var timeMs = time.Now().Add(-time.Hour).UnixMilli()

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Record is what every client has in common. Partition -1: the client chooses by key. Number -1: no header "i".
type Record struct {
	Partition   int32
	Offset      int64
	Key, Value  string
	Number      int
	TimestampMs int64
}

// Consumer hands out records from the earliest offset on and never commits by itself.
type Consumer interface {
	Poll() []Record // after some 100 ms at the latest
	Assigned() []int32
	Commit(offsets map[int32]int64)
	Close()
}

// Transactional is a producer with a transactional id that also consumes the topic "txn-in" of one partition for
// the group, from the offset that the group has committed.
type Transactional interface {
	// Transaction sends the records, takes this many records of txn-in, and ends the transaction.
	Transaction(topic string, list []Record, consume int64, commit bool)
	Close()
}

// Client is what has to be offered. All of it ends the program through Fail when something goes wrong.
type Client interface {
	CreateTopic(topic string, partitions int32)
	Partitions(topic string) int // 0: no such topic
	DeleteTopic(topic string)
	Produce(topic, codec string, list []Record) // idempotent; returns when all are acknowledged
	Assign(topic string, partitions int32, isolation string) Consumer
	Join(group, topic, protocol string) Consumer
	Committed(group, topic string) int64 // of partition 0
	Transactional(id, group, in string) Transactional
	GroupProtocols() []string
	Close()
}

// Fail ends the program with a sentence.
func Fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

// Must ends the program when a call has failed.
func Must(err error, call string) {
	if err != nil {
		Fail("%s: %v", call, err)
	}
}

func passed(step string) {
	fmt.Println("ok " + step)
}

// until looks again and again.
func until(condition func() bool, sentence func() string) {
	end := time.Now().Add(Limit)
	for !condition() {
		if time.Now().After(end) {
			Fail("timed out: %s", sentence())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

type run struct {
	client Client
	prefix string
}

func (r run) name(what string) string {
	return r.prefix + "-" + what
}

func (r run) topics() {
	for _, what := range append([]string{"group", "group-consumer", "txn"}, codecs...) {
		topic := r.name(what)
		r.client.CreateTopic(topic, Partitions)
		until(func() bool { return r.client.Partitions(topic) == Partitions },
			func() string { return fmt.Sprintf("%s has %d partitions", topic, r.client.Partitions(topic)) })
	}
	r.client.CreateTopic(r.name("txn-in"), 1)
	passed("topics")
}

func (r run) delete() {
	topic := r.name("none")
	r.client.DeleteTopic(topic)
	until(func() bool { return r.client.Partitions(topic) == 0 },
		func() string { return topic + " is still in the metadata" })
	passed("delete")
}

func codecRecord(codec string, i int) Record {
	return Record{-1, 0, fmt.Sprintf("key-%d", i%keys), fmt.Sprintf("%s %d %s", codec, i, filler), i, timeMs + int64(i)}
}

// seen is what has come back of a codec's records.
type seen struct {
	codec   string
	records map[int]bool
	place   map[string]int32
	last    map[string]int
}

func (s *seen) add(rec Record) {
	wanted := codecRecord(s.codec, rec.Number)
	if rec.Number < 0 || rec.Number >= records || s.records[rec.Number] {
		Fail("%s: record %d came twice, or was never sent", s.codec, rec.Number)
	}
	if rec.Key != wanted.Key || rec.Value != wanted.Value || rec.TimestampMs != wanted.TimestampMs {
		Fail("%s: record %d came back as %+v", s.codec, rec.Number, rec)
	}
	if place, known := s.place[rec.Key]; known && place != rec.Partition {
		Fail("%s: %s is in two partitions", s.codec, rec.Key)
	}
	if last, known := s.last[rec.Key]; known && last > rec.Number {
		Fail("%s: record %d comes after record %d", s.codec, rec.Number, last)
	}
	s.records[rec.Number] = true
	s.place[rec.Key] = rec.Partition
	s.last[rec.Key] = rec.Number
}

func (r run) codec(codec string) {
	var list []Record
	for i := range records {
		list = append(list, codecRecord(codec, i))
	}
	r.client.Produce(r.name(codec), codec, list)
	s := &seen{codec, map[int]bool{}, map[string]int32{}, map[string]int{}}
	consumer := r.client.Assign(r.name(codec), Partitions, "read_committed")
	until(func() bool {
		for _, rec := range consumer.Poll() {
			s.add(rec)
		}
		return len(s.records) == records
	}, func() string { return fmt.Sprintf("%s: %d of %d records came back", codec, len(s.records), records) })
	consumer.Close()
	passed(codec)
}

type place struct {
	partition int32
	offset    int64
}

// member is one of a group; seen holds all that it was handed.
type member struct {
	Consumer
	seen map[place]bool
}

func (r run) join(topic, protocol string) *member {
	return &member{r.client.Join(topic, topic, protocol), map[place]bool{}}
}

func (m *member) read() {
	for _, rec := range m.Poll() {
		if rec.Value != fmt.Sprintf("%d %d %s", rec.Partition, rec.Offset, filler) {
			Fail("group: a wrong record: %+v", rec)
		}
		m.seen[place{rec.Partition, rec.Offset}] = true
	}
}

// seenNow counts the records of the partitions that it has now.
func (m *member) seenNow() int {
	assigned, count := m.Assigned(), 0
	for at := range m.seen {
		if slices.Contains(assigned, at.partition) {
			count++
		}
	}
	return count
}

func (m *member) commit() {
	offsets := map[int32]int64{}
	for _, p := range m.Assigned() {
		offsets[p] = int64(30 + p)
	}
	m.Commit(offsets)
}

func waitAssigned(members []*member, wanted ...int) {
	now := func() (all [][]int32) {
		for _, m := range members {
			all = append(all, m.Assigned())
		}
		return all
	}
	until(func() bool {
		for _, m := range members {
			m.read()
		}
		for k, assigned := range now() {
			if len(assigned) != wanted[k] {
				return false
			}
		}
		return true
	}, func() string { return fmt.Sprintf("group: assigned are %v, wanted %v", now(), wanted) })
	union := map[int32]bool{}
	for _, assigned := range now() {
		for _, p := range assigned {
			union[p] = true
		}
	}
	if len(union) != Partitions {
		Fail("group: assigned are %v", now())
	}
}

func (r run) group(step, protocol string) {
	topic := r.name(step)
	var list []Record
	for p := range int32(Partitions) {
		for i := range groupRecords {
			list = append(list, Record{p, 0, "", fmt.Sprintf("%d %d %s", p, i, filler), -1, timeMs})
		}
	}
	r.client.Produce(topic, "none", list)
	a := r.join(topic, protocol)
	waitAssigned([]*member{a}, Partitions)
	b := r.join(topic, protocol)
	waitAssigned([]*member{a, b}, 2, 2)
	until(func() bool {
		a.read()
		b.read()
		return a.seenNow()+b.seenNow() == Partitions*groupRecords
	}, func() string {
		return fmt.Sprintf("group: two members saw %d and %d records", a.seenNow(), b.seenNow())
	})
	a.commit()
	b.commit()
	b.Close()
	waitAssigned([]*member{a}, Partitions)
	a.Close()
	r.resume(topic, protocol)
	passed(step)
}

// resume: a third member sees all from the committed offsets on and nothing before them.
func (r run) resume(topic, protocol string) {
	wanted := 0
	for p := range Partitions {
		wanted += groupRecords - (30 + p)
	}
	c := r.join(topic, protocol)
	until(func() bool {
		c.read()
		return len(c.seen) >= wanted
	}, func() string {
		return fmt.Sprintf("group: after the commit %d of %d records came", len(c.seen), wanted)
	})
	for p := range int32(Partitions) {
		for i := range int64(groupRecords) {
			if c.seen[place{p, i}] != (i >= int64(30+p)) {
				Fail("group: committed %d of partition %d, record %d: read is %v", 30+p, p, i, c.seen[place{p, i}])
			}
		}
	}
	c.Close()
}

func words(word string, first, count int) (list []Record) {
	for i := first; i < first+count; i++ {
		list = append(list, Record{int32(i % Partitions), 0, "", word + " " + strconv.Itoa(i), -1, timeMs})
	}
	return list
}

func (r run) transaction() {
	topic, group, in := r.name("txn"), r.name("txn"), r.name("txn-in")
	var inputs []Record
	for i := range 10 {
		inputs = append(inputs, Record{0, 0, "", "input " + strconv.Itoa(i), -1, timeMs})
	}
	r.client.Produce(in, "none", inputs)
	producer := r.client.Transactional(r.name("txn"), group, in)
	producer.Transaction(topic, words("kept", 0, kept/2), 3, true)
	producer.Transaction(topic, words("dropped", 0, dropped), 2, false)
	r.offsetIs(group, in, 3)
	producer.Transaction(topic, words("kept", kept/2, kept/2), 4, true)
	producer.Close()
	r.offsetIs(group, in, 7)
	r.transactionRead(topic, "read_committed", kept, 0)
	r.transactionRead(topic, "read_uncommitted", kept, dropped)
	passed("transaction")
}

// offsetIs: the coordinator may show a committed offset a moment after the end of its transaction.
func (r run) offsetIs(group, topic string, wanted int64) {
	until(func() bool { return r.client.Committed(group, topic) == wanted }, func() string {
		return fmt.Sprintf("transaction: the group's offset is %d, not %d", r.client.Committed(group, topic), wanted)
	})
}

func (r run) transactionRead(topic, isolation string, keptWanted, droppedWanted int) {
	wanted, came := map[string]bool{}, 0
	for _, rec := range append(words("kept", 0, keptWanted), words("dropped", 0, droppedWanted)...) {
		wanted[rec.Value] = true
	}
	consumer := r.client.Assign(topic, Partitions, isolation)
	until(func() bool {
		for _, rec := range consumer.Poll() {
			if !wanted[rec.Value] {
				Fail("%s: %s came, or came twice", isolation, rec.Value)
			}
			delete(wanted, rec.Value)
			came++
		}
		return len(wanted) == 0
	}, func() string { return fmt.Sprintf("%s: %d records came, %d did not", isolation, came, len(wanted)) })
	consumer.Close()
}

// Run walks through all steps with the client that open makes for the bootstrap address.
func Run(open func(bootstrap string) Client) {
	if len(os.Args) != 3 || strings.HasPrefix(os.Args[1], "-") {
		Fail("usage: %s BOOTSTRAP PREFIX", os.Args[0])
	}
	r := run{open(os.Args[1]), os.Args[2]}
	r.topics()
	for _, codec := range codecs {
		r.codec(codec)
	}
	for _, protocol := range r.client.GroupProtocols() {
		step := "group"
		if protocol != "classic" {
			step += "-" + protocol
		}
		r.group(step, protocol)
	}
	r.transaction()
	r.delete()
	r.client.Close()
}
