package example;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** The program's own database. */
final class WelcomeStore implements AutoCloseable {
    private static final String REMEMBER = "INSERT INTO handled_facts (ce_id) VALUES (?) ON CONFLICT DO NOTHING";
    private static final String WELCOME =
            "INSERT INTO welcome_list (ce_id, organization_id, account_id) VALUES (?, ?, ?)";
    private static final String SET_ASIDE =
            "INSERT INTO unreadable_records (topic, partition, record_offset, reason) VALUES (?, ?, ?, ?)"
                    + " ON CONFLICT DO NOTHING";

    private final Connection connection;

    /** Takes a URL as the other languages do: postgresql://user:password@host:port/name. */
    WelcomeStore(String url) throws SQLException, IOException {
        var uri = URI.create(url);
        var account = uri.getUserInfo().split(":", 2);
        var port = uri.getPort() == -1 ? 5432 : uri.getPort();
        var address = "jdbc:postgresql://%s:%d%s".formatted(uri.getHost(), port, uri.getPath());
        connection = DriverManager.getConnection(address, account[0], account[1]);
        connection.setAutoCommit(false);
        try (var schema = WelcomeStore.class.getResourceAsStream("/schema.sql");
                var statement = connection.createStatement()) {
            statement.execute(new String(schema.readAllBytes(), StandardCharsets.UTF_8));
        }
        connection.commit();
    }

    /** Writes the row of a fact, in one transaction with the note that this is done; nothing where it is noted. */
    void welcome(UUID id, MemberJoined fact) throws SQLException {
        try (var remember = connection.prepareStatement(REMEMBER);
                var welcome = connection.prepareStatement(WELCOME)) {
            remember.setObject(1, id);
            // Where another instance has the same fact in hand, this waits until that one has committed or failed.
            if (remember.executeUpdate() == 1) {
                welcome.setObject(1, id);
                welcome.setObject(2, fact.organizationId());
                welcome.setObject(3, fact.accountId());
                welcome.executeUpdate();
            }
        }
        connection.commit();
    }

    /** Notes where a record is that cannot be read, and why. */
    void setAside(ConsumerRecord<?, ?> record, String reason) throws SQLException {
        try (var statement = connection.prepareStatement(SET_ASIDE)) {
            statement.setString(1, record.topic());
            statement.setInt(2, record.partition());
            statement.setLong(3, record.offset());
            statement.setString(4, reason);
            statement.executeUpdate();
        }
        connection.commit();
    }

    @Override
    public void close() throws SQLException {
        connection.rollback();
        connection.close();
    }
}
