/* acls_api.c - DescribeAcls, CreateAcls, DeleteAcls: there is no access control here, and they say so
 * as a Kafka without an authorizer does, each filter and each rule for itself. */
#include "server/handlers.h"

#define DISABLED "no authorizer is configured: everybody may do everything"
/* So many rules are told why, the others have the code: an answer is not much larger than what asks. */
#define TOLD_MAX 100

static struct slice why_not(int32_t i)
{
	return i < TOLD_MAX ? slice_str(DISABLED) : SLICE_NULL;
}

void handle_describe_acls(struct exchange *x, const struct describe_acls_request *request,
			  struct describe_acls_response *response)
{
	(void)request;
	response->error_code = ERR_SECURITY_DISABLED;
	response->error_message = slice_str(DISABLED);
	exchange_reply(x);
}

void handle_create_acls(struct exchange *x, const struct create_acls_request *request,
			struct create_acls_response *response)
{
	int32_t n = request->creations.n;

	response->results.v = exchange_alloc(x, (size_t)n, sizeof *response->results.v);
	response->results.n = n;
	for (int32_t i = 0; i < n; i++)
		response->results.v[i] = (struct create_acls_response_result){
			.error_code = ERR_SECURITY_DISABLED, .error_message = why_not(i)};
	exchange_reply(x);
}

void handle_delete_acls(struct exchange *x, const struct delete_acls_request *request,
			struct delete_acls_response *response)
{
	int32_t n = request->filters.n;

	response->filter_results.v =
		exchange_alloc(x, (size_t)n, sizeof *response->filter_results.v);
	response->filter_results.n = n;
	for (int32_t i = 0; i < n; i++)
		response->filter_results.v[i] = (struct delete_acls_response_filter_result){
			.error_code = ERR_SECURITY_DISABLED, .error_message = why_not(i)};
	exchange_reply(x);
}
