package example;

import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.KafkaMessageFactory;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps a list of everybody to welcome: one row for each MemberJoined, with Kafka's own client and the CloudEvents SDK.
 *
 * <p>A record is handled in one database transaction, and its offset is committed after that. So nothing is lost; a
 * record may come again, and is known by its id then.
 */
public final class WelcomeList {
    private static final Logger LOG = LoggerFactory.getLogger(WelcomeList.class);
    private static final String TOPIC = "membership.events";

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final WelcomeStore store;

    private WelcomeList(KafkaConsumer<byte[], byte[]> consumer, WelcomeStore store) {
        this.consumer = consumer;
        this.store = store;
    }

    /**
     * Works until SIGTERM. Where Kafka or the database fails it ends with an error, having committed nothing that is not
     * done: whoever runs it starts it again.
     */
    public static void main(String[] arguments) throws Exception {
        var stopping = new AtomicBoolean();
        var done = new AtomicBoolean();
        endInOrder(stopping, done);
        var group = System.getenv().getOrDefault("GROUP_ID", "welcome-list-java");
        // Bytes, not events: a deserializer that fails makes poll() fail, again and again, at the same record.
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings(group), bytes, bytes);
                var store = new WelcomeStore(System.getenv("DATABASE_URL"))) {
            consumer.subscribe(List.of(TOPIC));
            LOG.info("subscribed to {} as {}", TOPIC, group);
            var list = new WelcomeList(consumer, store);
            while (!stopping.get()) {
                list.poll();
            }
        }
        done.set(true); // also closed: not where anything has thrown
    }

    private static Properties settings(String group) {
        var settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("KAFKA_BOOTSTRAP_SERVERS"));
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        // By itself it commits now and then, and also what it has only handed out.
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        // A new group begins with the oldest fact, not with the next one.
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 100);
        // How soon the partitions of a killed process are another's.
        settings.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, 6_000);
        settings.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, 2_000);
        return settings;
    }

    private void poll() throws SQLException {
        var records = consumer.poll(Duration.ofMillis(500));
        for (var partition : records.partitions()) {
            var fetched = records.records(partition);
            for (var record : fetched) {
                handle(record);
            }
            commit(partition, fetched.get(fetched.size() - 1).offset() + 1);
        }
    }

    /** Does the work of one record, once, however often it comes. */
    private void handle(ConsumerRecord<byte[], byte[]> record) throws SQLException {
        UUID id;
        MemberJoined fact;
        try {
            CloudEvent event = KafkaMessageFactory.createReader(record).toEvent();
            if (!event.getType().equals(MemberJoined.TYPE)) {
                return; // another type, known or not
            }
            id = UUID.fromString(event.getId());
            fact = MemberJoined.of(event);
        } catch (RuntimeException unreadable) {
            var reason = unreadable.getClass().getSimpleName(); // its message may quote the record
            LOG.error("{}/{}/{} is set aside: {}", record.topic(), record.partition(), record.offset(), reason);
            store.setAside(record, reason);
            return;
        }
        store.welcome(id, fact);
    }

    private void commit(TopicPartition partition, long offset) {
        try {
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(offset)));
        } catch (CommitFailedException | RebalanceInProgressException lost) {
            // The partition is another member's by now, which is given the records again and knows them by their ids.
            LOG.warn("{} was taken away before its offset was committed", partition);
        }
    }

    /**
     * On SIGTERM, lets main end, and the process with it: with 0 where main is done, with 1 where it ended with an error.
     * Java itself would not wait, and exit with 143.
     */
    private static void endInOrder(AtomicBoolean stopping, AtomicBoolean done) {
        var main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            if (!main.isAlive()) {
                return; // it has ended by itself, with an error
            }
            stopping.set(true);
            try {
                main.join();
                Runtime.getRuntime().halt(done.get() ? 0 : 1);
            } catch (InterruptedException impossible) {
                Runtime.getRuntime().halt(1);
            }
        }));
    }
}
