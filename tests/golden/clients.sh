#!/usr/bin/env bash
# clients.sh - what capture.py records: clients of several makers and ages against $KS_BOOTSTRAP.
#
#     clients.sh [kafka_tools] [kcats] [pythons] [transactions]       without arguments: all of them
#
# Needs kcat, a python3 with the packages kafka-python (3), confluent-kafka and aiokafka, and the scripts
# of an Apache Kafka distribution in the PATH; for transactions the clients of tests/clients. A client that
# is not there is skipped and named.
set -uo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
b=$KS_BOOTSTRAP

skip() { echo "clients.sh: skipped: $*" >&2; }
try() { timeout 60 "$@" >/dev/null 2>"$log" || { echo "clients.sh: failed: $*" >&2; tail -n 3 "$log" >&2; }; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT

kafka_tools() {
	command -v kafka-topics.sh >/dev/null || { skip "Kafka's scripts"; return; }
	local t=tools-topic g=tools-group
	try kafka-broker-api-versions.sh --bootstrap-server "$b"
	try kafka-cluster.sh cluster-id --bootstrap-server "$b"
	try kafka-cluster.sh list-endpoints --bootstrap-server "$b"
	try kafka-topics.sh --bootstrap-server "$b" --create --topic $t --partitions 2 --config retention.ms=86400000
	try kafka-topics.sh --bootstrap-server "$b" --create --topic $t-assigned --replica-assignment 1,1
	try kafka-topics.sh --bootstrap-server "$b" --describe
	try kafka-topics.sh --bootstrap-server "$b" --alter --topic $t --partitions 3
	try kafka-configs.sh --bootstrap-server "$b" --alter --entity-type topics --entity-name $t \
		--add-config cleanup.policy=compact,segment.ms=60000 --delete-config retention.ms
	try kafka-configs.sh --bootstrap-server "$b" --describe --entity-type topics --entity-name $t
	printf 'k%d:v%d\n' 1 1 2 2 3 3 | try kafka-console-producer.sh --bootstrap-server "$b" --topic $t \
		--reader-property parse.key=true --reader-property key.separator=:
	printf 'a\nb\n' | try kafka-console-producer.sh --bootstrap-server "$b" --topic $t-assigned \
		--command-property enable.idempotence=false --compression-codec zstd
	local protocol
	for protocol in classic consumer; do
		try kafka-console-consumer.sh --bootstrap-server "$b" --topic $t --group $g-$protocol --from-beginning \
			--max-messages 3 --timeout-ms 8000 --command-property group.protocol=$protocol
		timeout 12 kafka-console-consumer.sh --bootstrap-server "$b" --topic $t --group $g-$protocol \
			--timeout-ms 9000 --command-property group.protocol=$protocol \
			--command-property group.instance.id=$g-static --command-property client.rack=r1 >/dev/null 2>&1 &
		sleep 5 # until it is a member
		try kafka-consumer-groups.sh --bootstrap-server "$b" --describe --members --verbose --group $g-$protocol
		try kafka-consumer-groups.sh --bootstrap-server "$b" --describe --group $g-$protocol
		wait
	done
	try kafka-console-consumer.sh --bootstrap-server "$b" --topic $t --partition 0 --offset 0 --max-messages 1 \
		--timeout-ms 5000 --isolation-level read_committed
	try kafka-consumer-groups.sh --bootstrap-server "$b" --list --state stable,empty
	try kafka-consumer-groups.sh --bootstrap-server "$b" --all-groups --describe
	try kafka-consumer-groups.sh --bootstrap-server "$b" --group $g-classic --topic $t --reset-offsets --to-earliest --execute
	try kafka-consumer-groups.sh --bootstrap-server "$b" --group $g-classic --topic $t --delete-offsets
	try kafka-consumer-groups.sh --bootstrap-server "$b" --delete --group $g-classic --group $g-consumer
	local time
	for time in latest earliest max-timestamp earliest-local latest-tiered; do
		try kafka-get-offsets.sh --bootstrap-server "$b" --topic $t --time $time
	done
	try kafka-transactions.sh --bootstrap-server "$b" describe-producers --topic $t --partition 0
	try kafka-log-dirs.sh --bootstrap-server "$b" --describe --topic-list $t,$t-assigned
	local spec; spec=$(mktemp)
	printf '{"version":1,"partitions":[{"topic":"%s","partition":0,"offset":1}]}' $t-assigned >"$spec"
	try kafka-delete-records.sh --bootstrap-server "$b" --offset-json-file "$spec"
	rm -f "$spec"
	try kafka-acls.sh --bootstrap-server "$b" --add --allow-principal User:alice --allow-host 10.0.0.1 \
		--operation Read --operation Write --topic orders
	try kafka-acls.sh --bootstrap-server "$b" --add --deny-principal User:bob --operation Delete --topic ord \
		--resource-pattern-type prefixed
	try kafka-acls.sh --bootstrap-server "$b" --list
	try kafka-acls.sh --bootstrap-server "$b" --remove --force --allow-principal User:alice --allow-host 10.0.0.1 \
		--operation Read --topic orders
	try kafka-topics.sh --bootstrap-server "$b" --delete --topic $t-assigned
}

kcats() {
	command -v kcat >/dev/null || { skip kcat; return; }
	local fallback old=()
	for fallback in none 0.11.0 1.0.0 2.0.0; do
		[ $fallback = none ] || old=(-X api.version.request=false -X broker.version.fallback=$fallback)
		try kcat -b "$b" "${old[@]}" -L
		printf 'k1:v1\nk2:v2\n' | try kcat -b "$b" "${old[@]}" -P -t kcat-topic -K : -H trace=abc -z lz4
		printf 'k3:v3\n' | try kcat -b "$b" "${old[@]}" -P -t kcat-topic -K : -X enable.idempotence=true
		try kcat -b "$b" "${old[@]}" -C -t kcat-topic -o beginning -e
		try kcat -b "$b" "${old[@]}" -Q -t kcat-topic:0:-1 -t kcat-topic:0:1000
		try timeout 9 kcat -b "$b" "${old[@]}" -X auto.offset.reset=earliest -X session.timeout.ms=6000 \
			-X heartbeat.interval.ms=1000 -c 3 -G kcat-group kcat-topic
	done
}

pythons() {
	local name
	for name in kafka_python confluent aiokafka; do
		local module=${name/confluent/confluent_kafka}
		"$python" -c "import ${module/kafka_python/kafka}" 2>/dev/null || { skip "python: $module"; continue; }
		try timeout 240 "$python" "clients/${name}_client.py" "$b"
	done
}

# What the clients say, and what the broker says to itself: WriteTxnMarkers, AddPartitionsToTxn since version 4.
transactions() {
	local name
	for name in librdkafka java kafkajs kafka_python aiokafka franz_go sarama; do
		KS_TEST_BOOTSTRAP=$b try timeout 240 "$python" ../clients/run.py "$name"
	done
	command -v kafka-transactions.sh >/dev/null || { skip "Kafka's scripts"; return; }
	local id
	try kafka-transactions.sh --bootstrap-server "$b" list
	try kafka-transactions.sh --bootstrap-server "$b" list --duration-filter 0 --transactional-id-pattern '.*librdkafka.*'
	id=$(kafka-transactions.sh --bootstrap-server "$b" list 2>/dev/null | awk 'NR == 2 { print $1 }')
	try kafka-transactions.sh --bootstrap-server "$b" describe --transactional-id "$id"
}

if [ $# -eq 0 ]; then set -- kafka_tools kcats pythons transactions; fi
for part in "$@"; do "$part"; done
