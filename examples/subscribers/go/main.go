// Command welcomelist keeps a list of everybody to welcome: one row for each MemberJoined, with Sarama and the
// CloudEvents SDK.
//
// A record is handled in one database transaction, and its offset is committed after that. So nothing is lost; a record
// may come again, and is known by its id then.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5/pgxpool"
)

const topic = "membership.events"

//go:embed schema.sql
var schema string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("ended", "error", err)
		os.Exit(1)
	}
}

// run works until ctx is done. Where Kafka or the database fails it returns the error, having committed nothing that is
// not done: whoever runs the program starts it again.
func run(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, schema); err != nil {
		return fmt.Errorf("making the tables: %w", err)
	}

	config := sarama.NewConfig()
	config.Version = sarama.V3_5_0_0                        // the oldest brokers that are supported
	config.Consumer.Offsets.Initial = sarama.OffsetOldest   // a new group begins with the oldest fact, not with the next
	config.Consumer.Group.Session.Timeout = 6 * time.Second // how soon the partitions of a killed process are another's
	config.Consumer.Group.Heartbeat.Interval = 2 * time.Second
	brokers := strings.Split(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), ",")
	name := os.Getenv("GROUP_ID")
	if name == "" {
		name = "welcome-list-go"
	}
	group, err := sarama.NewConsumerGroup(brokers, name, config)
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer group.Close()
	slog.Info("subscribed to "+topic, "group", name)

	subscriber := &subscriber{list: welcomeList{pool}, failed: make(chan error, 1)}
	for ctx.Err() == nil {
		// Consume returns whenever the group shares out its partitions anew.
		if err := group.Consume(ctx, []string{topic}, subscriber); err != nil && ctx.Err() == nil {
			return fmt.Errorf("consuming: %w", err)
		}
		select {
		case err := <-subscriber.failed:
			return err
		default:
		}
	}
	return nil
}

// subscriber is what Sarama calls, in a goroutine for each partition.
type subscriber struct {
	list   welcomeList
	failed chan error
}

func (*subscriber) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*subscriber) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim handles the records of one partition in their order, until it is taken away.
func (s *subscriber) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case record, open := <-claim.Messages():
			if !open {
				return nil
			}
			// What was begun is finished, also when the program is to stop.
			if err := s.handle(context.WithoutCancel(session.Context()), record); err != nil {
				select {
				case s.failed <- err:
				default: // another partition has failed first
				}
				return err // ends the session, and so Consume
			}
			// What is marked is committed within a second, and nothing else; at once when the session ends.
			session.MarkMessage(record, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

// handle does the work of one record, once, however often it comes.
func (s *subscriber) handle(ctx context.Context, record *sarama.ConsumerMessage) error {
	fact, err := read(ctx, record)
	if errors.Is(err, errUnreadable) {
		slog.Error("a record is set aside", "partition", record.Partition, "offset", record.Offset, "reason", err)
		return s.list.setAside(ctx, record, err)
	}
	if fact == nil {
		return err
	}
	return s.list.welcome(ctx, fact)
}
