package peer;

import java.time.Duration;
import java.util.Set;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;

/** Lets a record pass if its id has not been seen within MEMORY: a window store keeps the ids. */
final class Unseen implements FixedKeyProcessorSupplier<String, byte[], byte[]> {
    static final Duration MEMORY = Duration.ofSeconds(1000);
    private static final String STORE = "seen-ids";

    @Override
    public Set<StoreBuilder<?>> stores() {
        return Set.of(Stores.windowStoreBuilder(
            Stores.persistentWindowStore(STORE, MEMORY, MEMORY, false), Serdes.Long(), Serdes.Long()));
    }

    @Override
    public FixedKeyProcessor<String, byte[], byte[]> get() {
        return new FixedKeyProcessor<>() {
            private FixedKeyProcessorContext<String, byte[]> context;
            private WindowStore<Long, Long> seen;

            @Override
            public void init(FixedKeyProcessorContext<String, byte[]> c) {
                context = c;
                seen = c.getStateStore(STORE);
            }

            @Override
            public void process(FixedKeyRecord<String, byte[]> r) {
                long id = Json.parse(r.value()).path("id").longValue(), now = r.timestamp();
                boolean again;
                try (WindowStoreIterator<Long> earlier = seen.fetch(id, now - MEMORY.toMillis(), now)) {
                    again = earlier.hasNext();
                }
                if (!again) {
                    seen.put(id, now, now);
                    context.forward(r);
                }
            }
        };
    }
}
