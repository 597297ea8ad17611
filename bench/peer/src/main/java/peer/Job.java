package peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Locale;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/** The jobs as a user of Kafka Streams writes them. bench/jobs has the same ones in Lua. */
enum Job {
    /** Bytes in, bytes out. */
    PASS("out"),
    /** Rejects views, writes the country in capitals, routes by type. */
    SPLIT("orders", "refunds", "clicks"),
    /** Records per user; every update goes out. */
    COUNT("counts"),
    /** Drops a record whose id was seen in the last 1000 seconds of event time. */
    DEDUP("unique"),
    /** Records per article: the key changes, so the records travel through a repartition topic. */
    REGROUP("articles");

    private static final Serde<byte[]> BYTES = Serdes.ByteArray();
    private static final Serde<String> TEXT = Serdes.String();

    final List<String> outputs;

    Job(String... outputs) {
        this.outputs = List.of(outputs);
    }

    static Job named(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** seen runs for every input record, before anything else is done with it. */
    Topology topology(String input, Runnable seen) {
        StreamsBuilder b = new StreamsBuilder();
        switch (this) {
            case PASS -> b.stream(input, Consumed.with(BYTES, BYTES)).peek((k, v) -> seen.run())
                .to("out", Produced.with(BYTES, BYTES));
            case SPLIT -> split(source(b, input, seen));
            case COUNT -> countUp(source(b, input, seen).groupByKey(Grouped.with(TEXT, BYTES)), "counts");
            case DEDUP -> source(b, input, seen).processValues(new Unseen()).to("unique", Produced.with(TEXT, BYTES));
            case REGROUP -> countUp(source(b, input, seen)
                .groupBy((k, v) -> firstArticle(Json.parse(v)), Grouped.with(TEXT, BYTES)), "articles");
        }
        return b.build();
    }

    private static KStream<String, byte[]> source(StreamsBuilder b, String input, Runnable seen) {
        return b.stream(input, Consumed.with(TEXT, BYTES)).peek((k, v) -> seen.run());
    }

    private static void split(KStream<String, byte[]> in) {
        in.mapValues(Json::parse)
            .filterNot((k, v) -> "view".equals(v.path("type").textValue()))
            .mapValues(Job::countryInCapitals)
            .to((k, v, context) -> v.path("type").textValue() + "s", Produced.with(TEXT, Json.SERDE));
    }

    private static JsonNode countryInCapitals(JsonNode v) {
        return ((ObjectNode) v).put("country", v.path("country").textValue().toUpperCase(Locale.ROOT));
    }

    private static String firstArticle(JsonNode v) {
        return v.path("items").path(0).path("sku").textValue();
    }

    private static void countUp(KGroupedStream<String, byte[]> groups, String output) {
        groups.count(Materialized.with(TEXT, Serdes.Long())).toStream().to(output, Produced.with(TEXT, Serdes.Long()));
    }
}
