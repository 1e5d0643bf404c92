/**
 * Keeps a list of everybody to welcome: one row for each MemberJoined, with KafkaJS and the CloudEvents SDK.
 *
 * A record is handled in one database transaction, and its offset is committed after that. So nothing is lost; a record
 * may come again, and is known by its id then.
 */
import { readFile } from "node:fs/promises";
import { type CloudEvent, Kafka as Binding } from "cloudevents";
import { type EachMessagePayload, Kafka, type KafkaJSError, type KafkaJSProtocolError, type KafkaMessage } from "kafkajs";
import pg from "pg";

const TOPIC = "membership.events";
const MEMBER_JOINED = "io.carolinacloud.member.joined.v1";
const SCHEMA = new URL("../schema.sql", import.meta.url);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const REMEMBER = "INSERT INTO handled_facts (ce_id) VALUES ($1) ON CONFLICT DO NOTHING";
const WELCOME = "INSERT INTO welcome_list (ce_id, organization_id, account_id) VALUES ($1, $2, $3)";
const SET_ASIDE = `
  INSERT INTO unreadable_records (topic, partition, record_offset, reason) VALUES ($1, $2, $3, $4)
  ON CONFLICT DO NOTHING`;

/** What this program wants to know of the fact. Its other fields, and those that will be added, are ignored. */
interface MemberJoined {
  organization_id: string;
  account_id: string;
}

/** The record is not what the contract says. The message names no value of it. */
class Unreadable extends Error {}

/** The event in the record. Throws Unreadable. */
function toEvent({ key, value, headers = {} }: KafkaMessage): CloudEvent<unknown> {
  const texts = Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, bytes?.toString()]));
  const record = { key, value, headers: texts, body: value };
  try {
    const event = Binding.toEvent(record) as CloudEvent<unknown>;
    event.validate();
    return event;
  } catch {
    throw new Unreadable("it is no CloudEvent, or not in JSON");
  }
}

function isMemberJoined(data: unknown): data is MemberJoined {
  const { organization_id, account_id } = (data ?? {}) as Record<string, unknown>;
  return [organization_id, account_id].every((id) => typeof id === "string" && UUID.test(id));
}

/** Does the work of one record, once, however often it comes. Throws Unreadable. */
async function handle(database: pg.Pool, message: KafkaMessage): Promise<void> {
  // Asked before the data is parsed: what is in types that this program does not know is not its business.
  const header = message.headers?.["ce_type"]?.toString();
  if (header !== undefined && header !== MEMBER_JOINED) return;
  const { id, type, data } = toEvent(message);
  if (type !== MEMBER_JOINED) return;
  if (!UUID.test(id) || !isMemberJoined(data)) throw new Unreadable("its data does not fit");
  const client = await database.connect();
  try {
    await client.query("BEGIN");
    // Where another instance has the same fact in hand, this waits until that one has committed or failed.
    const { rowCount } = await client.query(REMEMBER, [id]);
    if (rowCount === 1) await client.query(WELCOME, [id, data.organization_id, data.account_id]);
    await client.query("COMMIT");
    client.release();
  } catch (error) {
    client.release(true); // closed, and so rolled back, whatever state it was in
    throw error;
  }
}

const group = process.env["GROUP_ID"] ?? "welcome-list-typescript";
const database = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 2 });
database.on("error", (error) => console.error(`a connection to the database was lost: ${error.message}`));
await database.query(await readFile(SCHEMA, "utf8"));

const kafka = new Kafka({ clientId: group, brokers: process.env["KAFKA_BOOTSTRAP_SERVERS"]?.split(",") ?? [] });
// The session's length is how soon the partitions of a killed process are another's.
const consumer = kafka.consumer({ groupId: group, sessionTimeout: 6_000, heartbeatInterval: 2_000 });
// KafkaJS tries again by itself, with longer and longer pauses; what it takes for hopeless, it gives up.
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) process.exit(1);
});

async function eachMessage({ topic, partition, message }: EachMessagePayload): Promise<void> {
  try {
    await handle(database, message);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    console.error(`${topic}/${partition}/${message.offset} is set aside: ${error.message}`);
    await database.query(SET_ASIDE, [topic, partition, message.offset, error.message]);
  }
  await commit(topic, partition, String(BigInt(message.offset) + 1n));
}

/** What Kafka answers to a commit where the group has shared out its partitions anew. */
const TAKEN_AWAY = new Set(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS"]);

async function commit(topic: string, partition: number, offset: string): Promise<void> {
  try {
    await consumer.commitOffsets([{ topic, partition, offset }]);
  } catch (error) {
    const answer = (error as KafkaJSError).cause as KafkaJSProtocolError | undefined;
    if (answer === undefined || !TAKEN_AWAY.has(answer.type)) throw error;
    // The partition is another member's by now, which is given the records again and knows them by their ids. KafkaJS
    // hears of it at its next heartbeat, and joins again; thrown from here, the error would end it.
    console.error(`${topic}/${partition} was taken away before its offset was committed`);
  }
}

/** What was begun is finished; then nothing is left that would keep the process alive. */
async function stop(): Promise<void> {
  await consumer.disconnect();
  await database.end();
}
process.once("SIGTERM", stop);
process.once("SIGINT", stop);

await consumer.connect();
// A new group begins with the oldest fact, not with the next one.
await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
// By itself, KafkaJS commits now and then, and also what it has only been given.
await consumer.run({ autoCommit: false, eachMessage });
console.log(`subscribed to ${TOPIC} as ${group}`);
