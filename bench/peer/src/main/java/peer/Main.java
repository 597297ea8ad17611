package peer;

import java.util.Arrays;
import java.util.List;

/** fill TOPIC | bulk JOB | latency JOB | serve JOB | txn TOPIC, then "--name value" pairs. Failure: exit status 1. */
public final class Main {
    private Main() {
    }

    public static void main(String[] arguments) {
        try {
            List<String> all = Arrays.asList(arguments);
            if (all.size() < 2) {
                throw new IllegalArgumentException("fill TOPIC | bulk JOB | latency JOB | serve JOB | txn TOPIC");
            }
            Settings s = new Settings(all.subList(2, all.size()));
            switch (all.get(0)) {
                case "fill" -> Fill.run(all.get(1), s);
                case "bulk" -> Bulk.run(Job.named(all.get(1)), s);
                case "latency" -> Latency.run(Job.named(all.get(1)), s);
                case "serve" -> Serve.run(Job.named(all.get(1)), s);
                case "txn" -> Transactions.run(all.get(1), s);
                default -> throw new IllegalArgumentException("no such verb: " + all.get(0));
            }
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }
}
