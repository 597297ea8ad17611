// json_shim.cc - see json_shim.h. C++, because simdjson is.
#include "streams/json_shim.h"

#include <charconv>
#include <cstdint>
#include <memory>
#include <new>

#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

// A scan needs four bytes of memory per byte of text. What a rare large text took is given back.
static constexpr size_t capacity_kept = 256 * 1024;

struct json_scanner {
	std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
};

static bool ensure_capacity(json_scanner *s, size_t len)
{
	size_t have = s->stage ? s->stage->capacity() : 0;
	if (have >= len && (have <= capacity_kept || len > capacity_kept))
		return true;

	size_t want = len > capacity_kept ? len : capacity_kept;
	if (!s->stage)
		return !simdjson::get_active_implementation()->create_dom_parser_implementation(
			want, 1, s->stage);
	return !s->stage->set_capacity(want);
}

extern "C" json_scanner *json_scanner_new(void)
{
	return new (std::nothrow) json_scanner;
}

extern "C" void json_scanner_free(json_scanner *s)
{
	delete s;
}

extern "C" enum json_scan json_scanner_scan(json_scanner *s, const uint8_t *text, size_t len,
					    const uint32_t **at, size_t *count)
{
	if (len == 0)
		return JSON_SCAN_EMPTY;
	if (!ensure_capacity(s, len))
		return JSON_SCAN_MEMORY;
	switch (s->stage->stage1(text, len, simdjson::stage1_mode::regular)) {
	case simdjson::SUCCESS:
		*at = s->stage->structural_indexes.get();
		*count = s->stage->n_structural_indexes;
		return JSON_SCAN_OK;
	case simdjson::EMPTY:
		return JSON_SCAN_EMPTY;
	case simdjson::UTF8_ERROR:
		return JSON_SCAN_UTF8;
	case simdjson::UNCLOSED_STRING:
		return JSON_SCAN_UNCLOSED;
	case simdjson::UNESCAPED_CHARS:
		return JSON_SCAN_CONTROL;
	default:
		return JSON_SCAN_MEMORY;
	}
}

// Where a number's first significant digit stands, as a power of ten, kept within an int.
static int magnitude(const char *p, const char *end)
{
	int place = 0;
	int found = INT32_MIN;
	bool fraction = false;
	long exponent = 0;

	for (; p < end && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.')
			fraction = true;
		if (*p < '0' || *p > '9')
			continue;
		if (fraction)
			place--;
		if (found == INT32_MIN && *p != '0')
			found = place;
		else if (found != INT32_MIN && !fraction)
			found++;
	}
	if (p < end) {
		p += p[1] == '+' ? 2 : 1;
		if (std::from_chars(p, end, exponent).ec == std::errc::result_out_of_range)
			exponent = *p == '-' ? -(1L << 30) : 1L << 30;
	}
	if (exponent > (1L << 30))
		exponent = 1L << 30;
	if (exponent < -(1L << 30))
		exponent = -(1L << 30);
	return found == INT32_MIN ? INT32_MIN : static_cast<int>(found + exponent);
}

extern "C" bool json_f64_parse(const char *text, size_t len, double *out)
{
	double v = 0;
	auto r = std::from_chars(text, text + len, v);
	if (r.ec == std::errc::result_out_of_range) {
		if (magnitude(text, text + len) > 0)
			return false;
		v = *text == '-' ? -0.0 : 0.0; // too small: as close as doubles come
	}
	*out = v;
	return true;
}

extern "C" size_t json_f64_print(double v, char out[JSON_F64_MAX])
{
	return static_cast<size_t>(std::to_chars(out, out + JSON_F64_MAX, v).ptr - out);
}
