/* api_versions.c - ApiVersions: what is served, as wire/api.def has it. */
#include "server/handlers.h"

#define NAMES_SINCE 3 /* version: clients say what they are */

void api_versions_list(struct exchange *x, struct api_versions_response *response)
{
	response->api_keys.v = exchange_alloc(x, wire_api_count, sizeof *response->api_keys.v);
	response->api_keys.n = (int32_t)wire_api_count;
	for (size_t i = 0; i < wire_api_count; i++)
		response->api_keys.v[i] = (struct api_versions_response_api_key){
			wire_apis[i].key, wire_apis[i].version_min, wire_apis[i].version_max};
}

/* Letters, digits, '-' and '.', the latter two not at the ends: it goes into logs and metrics. */
static bool is_client_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		bool is_plain =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		bool is_inner = i > 0 && i + 1 < s.len && (c == '-' || c == '.');
		if (!is_plain && !is_inner)
			return false;
	}
	return s.len > 0;
}

/* Transaction protocol 2 (KIP-890): every transaction has an epoch of its own, partitions are added by producing to them. A
 * client uses it when the newest finalized features that it has heard of say so. Clients of version 3 choke on a supported
 * feature whose least version is 0. */
#define TRANSACTION_VERSION     2
#define FEATURES_EPOCH          0 /* they never change */
#define SUPPORTED_FEATURE_SINCE 4

static void list_features(struct exchange *x, struct api_versions_response *response)
{
	struct slice name = slice_str("transaction.version");

	if (x->header.api_version >= SUPPORTED_FEATURE_SINCE) {
		response->supported_features.n = 1;
		response->supported_features.v =
			exchange_alloc(x, 1, sizeof *response->supported_features.v);
		response->supported_features.v[0] =
			(struct api_versions_response_supported_feature){name, 0,
									 TRANSACTION_VERSION};
	}
	response->finalized_features_epoch = FEATURES_EPOCH;
	response->finalized_features.n = 1;
	response->finalized_features.v =
		exchange_alloc(x, 1, sizeof *response->finalized_features.v);
	response->finalized_features.v[0] = (struct api_versions_response_finalized_feature){
		name, TRANSACTION_VERSION, TRANSACTION_VERSION};
}

void handle_api_versions(struct exchange *x, const struct api_versions_request *request,
			 struct api_versions_response *response)
{
	bool is_named = is_client_word(request->client_software_name) &&
			is_client_word(request->client_software_version);

	if (x->header.api_version >= NAMES_SINCE && !is_named) {
		response->error_code = ERR_INVALID_REQUEST;
		exchange_reply(x);
		return;
	}
	api_versions_list(x, response);
	list_features(x, response);
	exchange_reply(x);
}
