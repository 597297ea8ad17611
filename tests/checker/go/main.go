// Copies a topic exactly once with franz-go, as the mode copy of txn_client does. It ends when standard input does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	bootstrap := flag.String("b", "", "HOST:PORT")
	from, to := flag.String("t", "", "topic"), flag.String("T", "", "topic")
	name, id := flag.String("n", "go", "name"), flag.String("i", "", "transactional id")
	group := flag.String("g", "", "group")
	partitions := flag.Int("p", 3, "partitions")
	count := flag.Int("c", 750, "messages of a transaction")
	mixes := flag.Bool("O", false, "records change their partitions")
	flag.Parse()
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(*bootstrap), kgo.ClientID(*name), kgo.TransactionalID(*id), kgo.TransactionTimeout(10*time.Second),
		kgo.ConsumerGroup(*group), kgo.ConsumeTopics(*from), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for ctx.Err() == nil {
		if err := transaction(ctx, session, *to, *partitions, *count, *mixes); err != nil && ctx.Err() == nil {
			// What cannot be gone on with is begun anew by whoever started us.
			fmt.Fprintf(os.Stderr, "%s: %v\n", *name, err)
			os.Exit(3)
		}
	}
	session.Close()
}

// transaction polls, and copies what came, if anything did.
func transaction(ctx context.Context, session *kgo.GroupTransactSession, to string, partitions, count int, mixes bool) error {
	wait, done := context.WithTimeout(ctx, time.Second)
	defer done()
	fetches := session.PollRecords(wait, count)
	if fetches.NumRecords() == 0 {
		return nil
	}
	if err := session.Begin(); err != nil {
		return err
	}
	promise := kgo.AbortingFirstErrPromise(session.Client())
	fetches.EachRecord(func(r *kgo.Record) {
		partition := r.Partition
		if mixes {
			partition = (partition + int32(r.Offset%int64(partitions))) % int32(partitions)
		}
		session.Client().Produce(ctx, &kgo.Record{Topic: to, Partition: partition, Value: r.Value}, promise.Promise())
	})
	err := promise.Err()
	committed, endErr := session.End(context.Background(), kgo.TransactionEndTry(err == nil))
	if !committed {
		fmt.Fprintf(os.Stderr, "a transaction of %d records ended without success: %v %v\n", fetches.NumRecords(), err, endErr)
	}
	return endErr
}
