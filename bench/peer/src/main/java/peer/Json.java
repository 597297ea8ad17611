package peer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Jackson's tree as a serde. */
final class Json {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    static final Serde<JsonNode> SERDE = Serdes.serdeFrom((topic, v) -> print(v), (topic, bytes) -> parse(bytes));

    private Json() {
    }

    static JsonNode parse(byte[] bytes) {
        try {
            return bytes == null ? null : MAPPER.readTree(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] print(JsonNode v) {
        try {
            return v == null ? null : MAPPER.writeValueAsBytes(v);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }
}
