/* help_uuid.c - ks.uuid.
 *
 * v4 and v7 are derived from the record under way: SHA-256 of topic, partition, offset and how many were made for the
 * record before. So a record that is processed again - after a crash, in a replay - gets the same ones. They
 * are unique as long as topic, partition and offset are; they are no secrets.
 */
#include "lua/helpers.h"

#include <ctype.h>
#include <lauxlib.h>
#include <openssl/evp.h>
#include <stdio.h>

static void push_uuid(lua_State *L, unsigned char *u, unsigned version)
{
	char text[40];

	u[6] = (unsigned char)((u[6] & 0x0f) | version << 4);
	u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
	snprintf(text, sizeof text,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
	lua_pushstring(L, text);
}

static void seeded_bytes(lua_State *L, unsigned char *out, const char *name)
{
	struct surroundings *s = lua_touserdata(L, lua_upvalueindex(1));
	const struct rec *r = s->record;
	char seed[400];
	int n;

	if (!r)
		luaL_error(L,
			   "%s is made from the record under way and works in the functions of "
			   "steps only",
			   name);
	n = snprintf(seed, sizeof seed, "%s/%d/%lld/%u", r->topic, (int)r->partition,
		     (long long)r->offset, (unsigned)s->uuids++);
	if (EVP_Digest(seed, (size_t)n, out, NULL, EVP_sha256(), NULL) != 1)
		luaL_error(L, "the hash function failed");
}

static int uuid_v4(lua_State *L)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];

	seeded_bytes(L, bytes, "ks.uuid.v4()");
	push_uuid(L, bytes, 4);
	return 1;
}

static int uuid_v7(lua_State *L)
{
	struct surroundings *s = lua_touserdata(L, lua_upvalueindex(1));
	unsigned char bytes[EVP_MAX_MD_SIZE];
	uint64_t ms;

	seeded_bytes(L, bytes, "ks.uuid.v7()");
	ms = (uint64_t)(s->record->timestamp < 0 ? 0 : s->record->timestamp);
	for (int i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
	push_uuid(L, bytes, 7);
	return 1;
}

static bool parse_uuid(const char *text, unsigned char *out)
{
	int n = 0;

	for (; *text != '\0'; text++) {
		int digit;

		if (*text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || n == 32)
			return false;
		digit = isdigit((unsigned char)*text) ? *text - '0'
						      : tolower((unsigned char)*text) - 'a' + 10;
		if (n % 2 == 0)
			out[n / 2] = (unsigned char)(digit << 4);
		else
			out[n / 2] = (unsigned char)(out[n / 2] | digit);
		n++;
	}
	return n == 32;
}

/* ks.uuid.v5(namespace, name): namespace is "dns", "url", "oid", "x500" or a UUID. */
static int uuid_v5(lua_State *L)
{
	static const struct {
		const char *name;
		unsigned char tail;
	} known[] = {{"dns", 0x10}, {"url", 0x11}, {"oid", 0x12}, {"x500", 0x14}};
	static const char *const base = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	const char *space = luaL_checkstring(L, 1);
	unsigned char out[EVP_MAX_MD_SIZE], ns[16];
	size_t len;
	const char *name = luaL_checklstring(L, 2, &len);
	EVP_MD_CTX *c;
	bool is_known = parse_uuid(space, ns);
	int ok;

	for (size_t i = 0; !is_known && i < sizeof known / sizeof *known; i++) {
		if (strcmp(space, known[i].name) == 0) {
			is_known = parse_uuid(base, ns);
			ns[3] = known[i].tail;
		}
	}
	luaL_argcheck(L, is_known, 1, "\"dns\", \"url\", \"oid\", \"x500\" or a UUID is due");
	c = EVP_MD_CTX_new();
	ok = c && EVP_DigestInit_ex(c, EVP_sha1(), NULL) && EVP_DigestUpdate(c, ns, sizeof ns) &&
	     EVP_DigestUpdate(c, name, len) && EVP_DigestFinal_ex(c, out, NULL);
	EVP_MD_CTX_free(c);
	if (!ok)
		return luaL_error(L, "the hash function failed");
	push_uuid(L, out, 5);
	return 1;
}

void helpers_register_uuid(lua_State *L, struct surroundings *s)
{
	static const luaL_Reg functions[] = {
		{"v4", uuid_v4}, {"v5", uuid_v5}, {"v7", uuid_v7}, {NULL, NULL}};

	luaL_newlibtable(L, functions);
	lua_pushlightuserdata(L, s);
	luaL_setfuncs(L, functions, 1);
	lua_setfield(L, -2, "uuid");
}
