package main

import (
	"context"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	remember = `INSERT INTO handled_facts (ce_id) VALUES ($1) ON CONFLICT DO NOTHING`
	welcome  = `INSERT INTO welcome_list (ce_id, organization_id, account_id) VALUES ($1, $2, $3)`
	setAside = `INSERT INTO unreadable_records (topic, partition, record_offset, reason) VALUES ($1, $2, $3, $4)
	            ON CONFLICT DO NOTHING`
)

// welcomeList is the program's own database.
type welcomeList struct {
	pool *pgxpool.Pool
}

// welcome writes the row of a fact, in one transaction with the note that this is done; nothing where it is noted.
func (l welcomeList) welcome(ctx context.Context, fact *memberJoined) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		// Where another instance has the same fact in hand, this waits until that one has committed or failed.
		noted, err := tx.Exec(ctx, remember, fact.ID)
		if err != nil || noted.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, welcome, fact.ID, fact.OrganizationID, fact.AccountID)
		return err
	})
}

// setAside notes where a record is that cannot be read, and why.
func (l welcomeList) setAside(ctx context.Context, record *sarama.ConsumerMessage, why error) error {
	_, err := l.pool.Exec(ctx, setAside, record.Topic, record.Partition, record.Offset, why.Error())
	return err
}
