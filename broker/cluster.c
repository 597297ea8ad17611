/* cluster.c - the id by which clients tell one cluster from another. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "broker/core.h"
#include "broker/shard.h"

#define VERSION      1
#define RANDOM_BYTES 16

static void encode(const uint8_t random[RANDOM_BYTES], char *id)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < CLUSTER_ID_BYTES; i++) {
		size_t at = i * 6 / 8, shift = i * 6 % 8;
		unsigned two = (unsigned)random[at] << 8;
		if (at + 1 < RANDOM_BYTES)
			two |= random[at + 1];
		id[i] = letters[two >> (10 - shift) & 63];
	}
	id[CLUSTER_ID_BYTES] = 0;
}

static enum ks_err load(struct broker *b, char *id, struct ks_why *why)
{
	struct buf value = {0};
	enum ks_err err = store_get(b->store, CF_META, key_cluster_id, &value);

	if (err && err != ERR_NOT_FOUND)
		ks_fail(why, err, "cannot read the cluster id");
	if (!err && (value.len != 1 + CLUSTER_ID_BYTES || value.data[0] != VERSION))
		err = ks_fail(why, ERR_CORRUPTION, "the cluster id is malformed");
	if (!err) {
		memcpy(id, value.data + 1, CLUSTER_ID_BYTES);
		id[CLUSTER_ID_BYTES] = 0;
	}
	buf_fini(&value);
	return err;
}

struct cluster_call {
	struct call call;
	char id[CLUSTER_ID_BYTES + 1];
};

static enum ks_err put_id(struct call *c, struct group *g)
{
	struct cluster_call *cc = (struct cluster_call *)c;
	uint8_t value[1 + CLUSTER_ID_BYTES] = {VERSION};

	memcpy(value + 1, cc->id, CLUSTER_ID_BYTES);
	store_put(g->write, CF_META, key_cluster_id, slice_of(value, sizeof value));
	return ERR_NONE;
}

enum ks_err broker_cluster_id(struct broker *b, char *id, struct ks_why *why)
{
	struct cluster_call c = {.call = {.apply = put_id, .broker = b, .why = why}};
	uint8_t random[RANDOM_BYTES];
	enum ks_err err = load(b, id, why);

	if (err != ERR_NOT_FOUND)
		return err;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return ks_fail(why, ERR_IO, "no random bytes: %s", strerror(errno));
	encode(random, c.id);
	err = shard_call(b->shard, &c.call);
	if (!err)
		memcpy(id, c.id, sizeof c.id);
	return err;
}
