/* api_versions.c - ApiVersions: what is served, as wire/api.def has it. */
#include "server/handlers.h"

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

/* No feature is listed: clients of version 3 choke on one whose least version is 0, and there is none that a
 * client of this broker would have to know. */
void handle_api_versions(struct exchange *x, const struct api_versions_request *request,
			 struct api_versions_response *response)
{
	if (x->header.api_version >= 3 && (!is_client_word(request->client_software_name) ||
					   !is_client_word(request->client_software_version)))
		response->error_code = ERR_INVALID_REQUEST;
	else
		api_versions_list(x, response);
	exchange_reply(x);
}
