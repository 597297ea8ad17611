/* verbs.c - the table of verbs, in the order in which help shows them. */
#include "cli/verb.h"

static const char run_help[] =
	"All scripts are loaded before anything starts; one that is wrong starts nothing. Jobs go "
	"on where\n"
	"their last commit stands, new ones begin at the start of their topics. SIGTERM and SIGINT "
	"finish\n"
	"the step under way, commit it and end with 0. A job that fails stops the others.\n"
	"\n"
	"  ksrun run orders.lua payments.lua\n"
	"  ksrun run --once -p large_from=500 orders.lua\n";

static const char plan_help[] =
	"Reads the data directory, changes nothing. Topics: = is there, + would be created, ! "
	"would make the\n"
	"run refuse the job, with the error and the exit code that it ends with here too. Internal "
	"topics\n"
	"carry records to the partition of their new key.\n";

static const char state_help[] = "Prints key TAB value, the state of the last commit. 'ksrun plan "
				 "SCRIPT' shows the names of stores.\n";

static const char produce_help[] =
	"Records are read from standard input. The format says what one looks like: %k key, %v "
	"value, %t\n"
	"topic, %p partition, %d timestamp in ms, %H and %h{...} headers; what stands between the "
	"verbs\n"
	"stands between the fields. A size (%K, %V, %T) before a field replaces the text behind "
	"it.\n"
	"Modifiers: numbers %K{ascii|hex4..64|big8..64|little8..64|byte|bool|DIGITS}, text\n"
	"%v{hex|base64|json|re#...#}. Escapes: \\t \\n \\r \\\\ \\xNN %% %{ %}.\n"
	"\n"
	"Keyed records go to the partition that the Java client would choose (-X partitioner= "
	"knows\n"
	"others), the rest stays on one partition for a batch.\n"
	"\n"
	"  ksrun topic produce in -f '%k\\t%v\\n' < file\n"
	"  ksrun topic produce in -f '%H{1}%h{%k=%v }%v\\n' -z zstd\n"
	"  echo hello | ksrun topic produce in -k greeting -H lang:en -o '%p/%o\\n'\n";

static const char consume_help[] =
	"Without --format it prints a line for people on a terminal and one JSON object per "
	"record\n"
	"elsewhere. A format is text with verbs: %t topic, %k key, %v value, %p partition, %o "
	"offset, %d\n"
	"timestamp, %e leader epoch, %x producer id, %y producer epoch, "
	"%a{compression|timestamp-type|\n"
	"transactional-bit|control-bit}, %h{...} headers, %T %K %V lengths, %H number of headers, "
	"%i count,\n"
	"%[ log start offset, %| last stable offset, %] high watermark. Modifiers: numbers "
	"{ascii|hex|\n"
	"hex4..64|big8..64|little8..64|byte|bool}, text {hex|base64|base64raw|json|unpack[...]}, "
	"time\n"
	"{strftime[...]}. Escapes: \\t \\n \\r \\\\ \\xNN %% %{ %}.\n"
	"\n"
	"Offsets: start end 47 +2 -3 @TIME, and ranges: :end 10:20 @-1h:end. TIME: 13 digits (ms), "
	"10\n"
	"digits (s), 2022-02-14, 2022-02-14T10:00:00Z, or a duration such as -1h30m.\n"
	"\n"
	"  ksrun topic consume out -o :end -f '%k\\t%v\\n'\n"
	"  ksrun topic consume out -o @-1h:end | jq .value\n"
	"  ksrun topic consume out -g reader -n 100\n";

static const char seek_help[] =
	"Where to: start, end, an offset, @TIME as in topic consume, or +N and -N from where the "
	"group\n"
	"is now; where another group is (--to-group), or what a file says (--to-file), a line for "
	"each\n"
	"partition: in 0 4711. It shows what will change and asks; off a terminal it wants --yes "
	"or --dry-run.\n"
	"\n"
	"  ksrun group seek reader --to @-1h --dry-run\n"
	"  ksrun group seek reader --to start --topics in,out --yes\n";

static const char txn_list_help[] =
	"Transactional ids and the state of their transactions. States: Empty, Ongoing, "
	"PrepareCommit,\n"
	"PrepareAbort, CompleteCommit, CompleteAbort, PrepareEpochFence, Dead.\n"
	"\n"
	"  ksrun txn list --state Ongoing --older-than 5m -b host:9092\n"
	"  ksrun txn list --match 'orders-.*'\n";

static const char txn_hanging_help[] =
	"A transaction hangs when it is open in a partition and no coordinator knows it any more: "
	"who reads\n"
	"committed records gets nothing behind its first one. 'txn abort' ends it.\n"
	"\n"
	"  ksrun txn find-hanging -b host:9092\n"
	"  ksrun txn abort in --partition 3 --start-offset 1200 -b host:9092\n";

static const char config_help[] =
	"Without an ID, broker means the defaults of all brokers. Brokers are those of a cluster "
	"(-b).\n"
	"\n"
	"  ksrun config describe topic in --changed\n"
	"  ksrun config alter topic in --set retention.ms=3600000 --delete max.message.bytes\n"
	"  ksrun config alter topic in --append cleanup.policy=compact\n"
	"  ksrun config describe broker 1 -b host:9092\n";

static const char explain_help[] = "Keys of clients (-X list), of brokers (server.properties) and "
				   "of topics. Nobody is asked: for "
				   "a\n"
				   "client it is what this command line, the environment and the "
				   "configuration file say, for the "
				   "others\n"
				   "the default. --format wide shows range and alias, too.\n"
				   "\n"
				   "  ksrun config explain linger.ms\n"
				   "  ksrun config explain client.id --profile staging\n";

static const char perf_help[] =
	"JOB is a script, or one of ours: pass (bytes in, bytes out), c_filter (a path, no Lua), "
	"split\n"
	"(reject, change, route in Lua), dedup, count, regroup (count by another key). The outputs "
	"of ours\n"
	"are checked record by record: exit code 1 when something is missing, twice or wrong.\n"
	"\n"
	"  ksrun perf job split -n 2000000 --threads 2\n"
	"  ksrun perf job count --latency 2000 --seconds 20\n";

const struct verb verbs[] = {
	{"run", "SCRIPT...", 1, -1, "Run jobs until they are stopped", run_help, run_options,
	 verb_run, false},
	{"broker", "", 0, 0, "Serve clients of the Kafka protocol", NULL, broker_options_table,
	 verb_broker, false},
	{"check", "SCRIPT...", 1, -1, "Check scripts without running them", NULL, check_options,
	 verb_check, false},
	{"plan", "SCRIPT...", 1, -1, "Show what a run would create or change", plan_help,
	 plan_options, verb_plan, false},
	{"graph", "SCRIPT", 1, 1, "Draw the graph of a job", NULL, graph_options, verb_graph,
	 false},
	{"test", "FILE...", 1, -1, "Run the tests of scripts", NULL, test_options, verb_test,
	 false},
	{"job state", "SCRIPT STORE", 2, 2, "Print the keys and values of a job's store",
	 state_help, job_state_options, verb_job_state, false},
	{"topic create", "TOPIC...", 1, -1, "Create topics", NULL, topic_create_options,
	 verb_topic_create, false},
	{"topic list", "[TOPIC...]", 0, -1, "List topics", NULL, topic_list_options,
	 verb_topic_list, false},
	{"topic describe", "TOPIC...", 1, -1, "Show configuration and partitions of topics", NULL,
	 topic_describe_options, verb_topic_describe, false},
	{"topic alter", "TOPIC...", 1, -1, "Change the configuration of topics, add partitions",
	 NULL, topic_alter_options, verb_topic_alter, false},
	{"topic delete", "TOPIC...", 1, -1, "Delete topics and their records", NULL,
	 topic_delete_options, verb_topic_delete, false},
	{"topic trim", "[TOPIC]", 0, 1, "Delete the records before an offset", NULL,
	 topic_trim_options, verb_topic_trim, false},
	{"topic produce", "[TOPIC]", 0, 1, "Write records to a topic", produce_help,
	 topic_produce_options, verb_topic_produce, false},
	{"topic consume", "TOPIC...", 1, -1, "Print the records of topics", consume_help,
	 topic_consume_options, verb_topic_consume, false},
	{"group list", "", 0, 0, "List consumer groups", NULL, group_list_options, verb_group_list,
	 false},
	{"group describe", "GROUP...", 1, -1, "Show the offsets and the lag of groups", NULL,
	 group_describe_options, verb_group_describe, false},
	{"group seek", "GROUP", 1, 1, "Move the offsets of a group", seek_help, group_seek_options,
	 verb_group_seek, false},
	{"group delete", "GROUP...", 1, -1, "Delete groups and their offsets", NULL, NULL,
	 verb_group_delete, false},
	{"txn list", "", 0, 0, "List transactional ids and their transactions", txn_list_help,
	 txn_list_options, verb_txn_list, false},
	{"txn describe", "ID...", 1, -1, "Show the transactions of transactional ids", NULL,
	 txn_describe_options, verb_txn_describe, false},
	{"txn producers", "TOPIC", 1, 1, "Show who writes to the partitions of a topic", NULL,
	 txn_producers_options, verb_txn_producers, false},
	{"txn find-hanging", "[TOPIC...]", 0, -1, "Find transactions that no coordinator knows",
	 txn_hanging_help, txn_find_hanging_options, verb_txn_find_hanging, false},
	{"txn abort", "TOPIC", 1, 1, "Abort a transaction that hangs", txn_hanging_help,
	 txn_abort_options, verb_txn_abort, false},
	{"config describe", "topic NAME | broker [ID]", 1, 2,
	 "Show the configuration of a topic or broker", config_help, config_describe_options,
	 verb_config_describe, false},
	{"config alter", "topic NAME | broker [ID]", 1, 2,
	 "Change the configuration of a topic or broker", config_help, config_alter_options,
	 verb_config_alter, false},
	{"config explain", "KEY", 1, 1, "Tell what a key means, its value and who has set it",
	 explain_help, config_explain_options, verb_config_explain, false},
	{"cluster describe", "", 0, 0, "Show the brokers of a cluster", NULL,
	 cluster_describe_options, verb_cluster_describe, false},
	{"perf job", "JOB", 1, 1, "Measure a job: throughput, or latency at a fixed rate",
	 perf_help, perf_job_options, verb_perf_job, false},
	{"perf log", "", 0, 0, "Measure the log next to plain files on the same disk", NULL,
	 perf_log_options, verb_perf_log, false},
	{"perf restart", "", 0, 0, "Measure how soon a job works again after kill -9", NULL,
	 perf_restart_options, verb_perf_restart, false},
	{"perf input", "", 0, 0, "Print the records of perf job, key TAB value", NULL,
	 perf_input_options, verb_perf_input, false},
	{"completion", "bash|zsh|fish", 1, 1, "Print a completion script for a shell", NULL, NULL,
	 verb_completion, false},
	{"help", "[VERB]", 0, -1, "Tell more about a verb", NULL, NULL, verb_help, false},
	{"version", "", 0, 0, "Print the version", NULL, NULL, verb_version, false},
	{"__complete", "WORD...", 0, -1, "What may stand at the last word", NULL, NULL,
	 verb_complete, true},
	{0},
};
