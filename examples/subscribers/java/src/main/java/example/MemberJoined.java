package example;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.CloudEventUtils;
import io.cloudevents.jackson.PojoCloudEventDataMapper;
import java.util.Objects;
import java.util.UUID;

/** What this program wants to know of the fact. Its other fields, and those that will be added, are ignored. */
@JsonIgnoreProperties(ignoreUnknown = true)
record MemberJoined(
        @JsonProperty("organization_id") UUID organizationId, @JsonProperty("account_id") UUID accountId) {
    static final String TYPE = "io.carolinacloud.member.joined.v1";

    private static final PojoCloudEventDataMapper<MemberJoined> MAPPER =
            PojoCloudEventDataMapper.from(new ObjectMapper(), MemberJoined.class);

    MemberJoined {
        Objects.requireNonNull(organizationId);
        Objects.requireNonNull(accountId);
    }

    /** The data of an event of this type. Throws RuntimeException where it does not fit. */
    static MemberJoined of(CloudEvent event) {
        return Objects.requireNonNull(CloudEventUtils.mapData(event, MAPPER)).getValue();
    }
}
