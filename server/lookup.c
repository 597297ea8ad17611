/* lookup.c - see lookup.h. */
#include "server/lookup.h"

#include "server/server.h"

static bool is_topic_name(struct slice s)
{
	if (!s.len || s.len > BROKER_TOPIC_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return !slice_equal(s, slice_str(".")) && !slice_equal(s, slice_str(".."));
}

enum ks_err lookup_topic(struct exchange *x, struct slice name, struct topic **out)
{
	char text[BROKER_TOPIC_NAME_MAX + 1];

	if (!is_topic_name(name))
		return ERR_INVALID_TOPIC_EXCEPTION;
	memcpy(text, name.data, name.len);
	text[name.len] = 0;
	struct topic *t = broker_topic_find(server_broker(x->server), text);
	if (!t)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	*out = t;
	return ERR_NONE;
}

enum ks_err lookup_topic_id(struct exchange *x, struct wire_uuid id, struct topic **out)
{
	struct topic_uuid uuid;

	memcpy(uuid.bytes, id.bytes, sizeof uuid.bytes);
	struct topic *t = broker_topic_find_uuid(server_broker(x->server), &uuid);
	if (!t)
		return ERR_UNKNOWN_TOPIC_ID;
	*out = t;
	return ERR_NONE;
}

enum ks_err lookup_partition_of(struct topic *t, int32_t index, struct partition **out)
{
	if (index < 0 || index >= topic_partition_count(t))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	*out = topic_partition(t, index);
	return ERR_NONE;
}

enum ks_err lookup_partition(struct exchange *x, struct slice name, int32_t index,
			     struct partition **out)
{
	struct topic *t;

	if (lookup_topic(x, name, &t))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return lookup_partition_of(t, index, out);
}

enum ks_err lookup_check_epoch(int32_t leader_epoch)
{
	if (leader_epoch == -1 || leader_epoch == LEADER_EPOCH_NOW)
		return ERR_NONE;
	return leader_epoch > LEADER_EPOCH_NOW ? ERR_UNKNOWN_LEADER_EPOCH : ERR_FENCED_LEADER_EPOCH;
}

int16_t wire_code(enum ks_err err)
{
	if (err >= ERR_UNKNOWN_SERVER_ERROR)
		return (int16_t)err;
	switch (err) {
	case ERR_IO:
	case ERR_NO_SPACE:
	case ERR_CORRUPTION:
		return ERR_KAFKA_STORAGE_ERROR;
	case ERR_TRUNCATED:
	case ERR_MALFORMED:
		return ERR_CORRUPT_MESSAGE;
	case ERR_TOO_LARGE:
		return ERR_MESSAGE_TOO_LARGE;
	case ERR_INVALID_ARGUMENT:
		return ERR_INVALID_REQUEST;
	default:
		return ERR_UNKNOWN_SERVER_ERROR;
	}
}
