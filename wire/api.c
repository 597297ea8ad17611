/* api.c - see api.h. */
#include "wire/api.h"

#include <assert.h>

enum {
#define API(key, name, min, max, flexible) INDEX_##name,
#include "wire/api.def"
#undef API
	INDEX_COUNT
};

const struct wire_api wire_apis[] = {
#define API(key, name, min, max, flexible)                                                         \
	{key, min, max, flexible, #name, name##_request_desc, name##_response_desc},
#include "wire/api.def"
#undef API
};
const size_t wire_api_count = INDEX_COUNT;

/* 1 + the index in wire_apis; 0: unknown. */
static const uint8_t places[WIRE_API_KEYS] = {
#define API(key, name, min, max, flexible) [key] = 1 + INDEX_##name,
#include "wire/api.def"
#undef API
};

const struct wire_api *wire_api_find(int16_t key)
{
	if (key < 0 || key >= WIRE_API_KEYS || !places[key])
		return NULL;
	return &wire_apis[places[key] - 1];
}

static bool is_served(const struct wire_api *api, int16_t version)
{
	return api && version >= api->version_min && version <= api->version_max;
}

enum ks_err request_header_read(struct slice bytes, struct request_header *h,
				const struct wire_api **api, struct slice *body)
{
	struct wire_reader r;

	wire_reader_init(&r, bytes, 0, WIRE_NEVER, NULL, 0);
	*h = (struct request_header){
		.api_key = wire_read_int16(&r),
		.api_version = wire_read_int16(&r),
		.correlation_id = wire_read_int32(&r),
	};
	*api = wire_api_find(h->api_key);
	*body = SLICE_NULL;
	if (!is_served(*api, h->api_version)) {
		*api = NULL;
		return r.err;
	}
	/* Also in header version 2 an old string: an unknown version of ApiVersions has to be readable. */
	h->client_id = wire_read_string(&r, false, true);
	if (h->api_version >= (*api)->first_flexible)
		wire_skip_tags(&r);
	*body = slice_of(r.p, (size_t)(r.end - r.p));
	return r.err;
}

static struct wire_mark begin(struct wire_out *o)
{
	struct wire_mark start = {o->bytes.len, o->total};
	return start;
}

/* The header's bytes were put behind the mark without telling o->total. */
static void count(struct wire_out *o, struct wire_mark start)
{
	o->total += o->bytes.len - start.at;
}

struct wire_mark request_header_write(struct wire_out *o, const struct wire_api *api,
				      int16_t version, int32_t correlation_id,
				      struct slice client_id)
{
	struct wire_mark start = begin(o);

	assert(client_id.len <= INT16_MAX);
	buf_append_u32be(&o->bytes, 0);
	buf_append_u16be(&o->bytes, (uint16_t)api->key);
	buf_append_u16be(&o->bytes, (uint16_t)version);
	buf_append_u32be(&o->bytes, (uint32_t)correlation_id);
	buf_append_u16be(&o->bytes, client_id.data ? (uint16_t)client_id.len : UINT16_MAX);
	if (client_id.len)
		buf_append(&o->bytes, client_id.data, client_id.len);
	if (version >= api->first_flexible)
		buf_append_u8(&o->bytes, 0);
	count(o, start);
	return start;
}

static bool response_header_is_flexible(const struct wire_api *api, int16_t version)
{
	return version >= api->first_flexible && api->key != API_api_versions;
}

struct wire_mark response_header_write(struct wire_out *o, const struct wire_api *api,
				       int16_t version, int32_t correlation_id)
{
	struct wire_mark start = begin(o);

	buf_append_u32be(&o->bytes, 0);
	buf_append_u32be(&o->bytes, (uint32_t)correlation_id);
	if (response_header_is_flexible(api, version))
		buf_append_u8(&o->bytes, 0);
	count(o, start);
	return start;
}

void message_finish(struct wire_out *o, struct wire_mark start)
{
	size_t len = o->total - start.total - 4;

	assert(len <= INT32_MAX);
	put_u32be(o->bytes.data + start.at, (uint32_t)len);
}

enum ks_err response_header_read(struct slice bytes, const struct wire_api *api, int16_t version,
				 int32_t *correlation_id, struct slice *body)
{
	struct wire_reader r;

	wire_reader_init(&r, bytes, version, WIRE_NEVER, NULL, 0);
	*correlation_id = wire_read_int32(&r);
	if (response_header_is_flexible(api, version))
		wire_skip_tags(&r);
	*body = slice_of(r.p, (size_t)(r.end - r.p));
	return r.err;
}
