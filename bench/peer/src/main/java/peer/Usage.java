package peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the kernel counts of a process: CPU time, peak resident memory. Process 0 has used nothing. */
final class Usage {
    private static final double TICKS_PER_SECOND = 100; // USER_HZ: fixed in Linux's interface

    private final long pid;
    private double cpuAtStart;

    Usage(long pid) {
        this.pid = pid;
    }

    static Usage ofSelf() {
        return new Usage(ProcessHandle.current().pid());
    }

    private String file(String name) {
        try {
            return Files.readString(Path.of("/proc", Long.toString(pid), name));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private double cpu() {
        if (pid == 0) {
            return 0;
        }
        String stat = file("stat");
        // The second field, the command's name, may hold spaces; the fields counted here follow its bracket.
        String[] rest = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(rest[11]) + Long.parseLong(rest[12])) / TICKS_PER_SECOND;
    }

    void start() {
        cpuAtStart = cpu();
    }

    double seconds() {
        return cpu() - cpuAtStart;
    }

    void forgetPeak() throws IOException {
        if (pid != 0) {
            Files.writeString(Path.of("/proc", Long.toString(pid), "clear_refs"), "5");
        }
    }

    long peakMegabytes() {
        if (pid == 0) {
            return 0;
        }
        return file("status").lines().filter(l -> l.startsWith("VmHWM:"))
            .mapToLong(l -> Long.parseLong(l.replaceAll("[^0-9]", ""))).sum() / 1024;
    }
}
