package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/google/uuid"
)

const memberJoinedType = "io.carolinacloud.member.joined.v1"

// memberJoined is what this program wants to know of the fact. Its other fields, and those that will be added, are
// ignored.
type memberJoined struct {
	ID             uuid.UUID `json:"-"`
	OrganizationID uuid.UUID `json:"organization_id"`
	AccountID      uuid.UUID `json:"account_id"`
}

// errUnreadable says that a record is not what the contract says. Its text names no value of the record.
var errUnreadable = errors.New("unreadable")

// read returns the fact in the record; nil where it is of another type, known or not.
func read(ctx context.Context, record *sarama.ConsumerMessage) (*memberJoined, error) {
	event, err := binding.ToEvent(ctx, kafka_sarama.NewMessageFromConsumerMessage(record))
	if err != nil || event.Type() == "" {
		return nil, fmt.Errorf("%w: it is no CloudEvent", errUnreadable)
	}
	if event.Type() != memberJoinedType {
		return nil, nil
	}
	var fact memberJoined
	if fact.ID, err = uuid.Parse(event.ID()); err != nil {
		return nil, fmt.Errorf("%w: its id is none", errUnreadable)
	}
	// A field that is missing stays empty, and so does everything where there is no data.
	if err := event.DataAs(&fact); err != nil || fact.OrganizationID == uuid.Nil || fact.AccountID == uuid.Nil {
		return nil, fmt.Errorf("%w: its data does not fit", errUnreadable)
	}
	return &fact, nil
}
