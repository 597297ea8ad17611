/* help_hash.c - ks.hash, ks.hmac, ks.base64, ks.hex. */
#include "lua/helpers.h"

#include <lauxlib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <xxhash.h>

#include "wire/checksum.h"

static void push_hex(lua_State *L, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	luaL_Buffer b;
	char *out = luaL_buffinitsize(L, &b, len * 2);

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	luaL_pushresultsize(&b, len * 2);
}

static int digest(lua_State *L, const EVP_MD *md)
{
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	if (EVP_Digest(text, n, out, &len, md, NULL) != 1)
		return luaL_error(L, "the hash function failed");
	push_hex(L, out, len);
	return 1;
}

static int hash_sha256(lua_State *L)
{
	return digest(L, EVP_sha256());
}

static int hash_sha512(lua_State *L)
{
	return digest(L, EVP_sha512());
}

static int hash_sha1(lua_State *L)
{
	return digest(L, EVP_sha1());
}

static int hash_md5(lua_State *L)
{
	return digest(L, EVP_md5());
}

static int hash_xxh3(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	lua_pushinteger(L, (lua_Integer)XXH3_64bits(text, n));
	return 1;
}

static int hash_crc32c(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	lua_pushinteger(L, crc32c(text, n));
	return 1;
}

/* As Java's Utils.murmur2: a signed 32-bit number. */
static int hash_murmur2(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	lua_pushinteger(L, (int32_t)murmur2(text, n));
	return 1;
}

/* ks.hmac(key, text[, "sha256" | "sha512" | "sha1" | "md5"]) -> hex */
static int hmac(lua_State *L)
{
	static const char *const names[] = {"sha256", "sha512", "sha1", "md5", NULL};
	const EVP_MD *(*const functions[])(void) = {EVP_sha256, EVP_sha512, EVP_sha1, EVP_md5};
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	size_t key_len, n;
	const char *key = luaL_checklstring(L, 1, &key_len);
	const char *text = luaL_checklstring(L, 2, &n);
	const EVP_MD *md = functions[luaL_checkoption(L, 3, "sha256", names)]();

	luaL_argcheck(L, key_len <= INT32_MAX, 1, "the key is too long");
	if (!HMAC(md, key, (int)key_len, (const unsigned char *)text, n, out, &len))
		return luaL_error(L, "the hash function failed");
	push_hex(L, out, len);
	return 1;
}

static int hex_encode(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	push_hex(L, (const unsigned char *)text, n);
	return 1;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int hex_decode(lua_State *L)
{
	luaL_Buffer b;
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	char *out = luaL_buffinitsize(L, &b, n / 2 + 1);

	luaL_argcheck(L, n % 2 == 0, 1, "hex has two digits per byte");
	for (size_t i = 0; i < n; i += 2) {
		int high = hex_digit(text[i]);
		int low = hex_digit(text[i + 1]);

		luaL_argcheck(L, high >= 0 && low >= 0, 1, "not a hexadecimal digit");
		out[i / 2] = (char)(high << 4 | low);
	}
	luaL_pushresultsize(&b, n / 2);
	return 1;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_encode(lua_State *L)
{
	luaL_Buffer b;
	size_t n, len = 0;
	const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &n);
	char *out = luaL_buffinitsize(L, &b, (n + 2) / 3 * 4 + 1);

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)text[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)text[i + 1] << 8;
		if (i + 2 < n)
			v |= text[i + 2];
		out[len++] = base64_digits[v >> 18];
		out[len++] = base64_digits[v >> 12 & 63];
		out[len++] = i + 1 < n ? base64_digits[v >> 6 & 63] : '=';
		out[len++] = i + 2 < n ? base64_digits[v & 63] : '=';
	}
	luaL_pushresultsize(&b, len);
	return 1;
}

/* The value of a digit, of the URL-safe alphabet too; -1: none. */
static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

static int base64_decode(lua_State *L)
{
	luaL_Buffer b;
	size_t n, len = 0;
	const char *text = luaL_checklstring(L, 1, &n);
	char *out = luaL_buffinitsize(L, &b, n / 4 * 3 + 4);
	uint32_t v = 0;
	int bits = 0;

	while (n > 0 && text[n - 1] == '=')
		n--;
	luaL_argcheck(L, n % 4 != 1, 1, "the base64 text is cut short");
	for (size_t i = 0; i < n; i++) {
		int digit = base64_digit(text[i]);

		luaL_argcheck(L, digit >= 0, 1, "not a base64 digit");
		v = v << 6 | (uint32_t)digit;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[len++] = (char)(v >> bits & 255);
		}
	}
	luaL_pushresultsize(&b, len);
	return 1;
}

void helpers_register_hash(lua_State *L)
{
	static const luaL_Reg hashes[] = {
		{"sha256", hash_sha256},   {"sha512", hash_sha512},
		{"sha1", hash_sha1},       {"md5", hash_md5},
		{"xxh3", hash_xxh3},       {"crc32c", hash_crc32c},
		{"murmur2", hash_murmur2}, {NULL, NULL},
	};
	static const luaL_Reg hexes[] = {
		{"encode", hex_encode}, {"decode", hex_decode}, {NULL, NULL}};
	static const luaL_Reg base64s[] = {
		{"encode", base64_encode}, {"decode", base64_decode}, {NULL, NULL}};

	luaL_newlib(L, hashes);
	lua_setfield(L, -2, "hash");
	luaL_newlib(L, hexes);
	lua_setfield(L, -2, "hex");
	luaL_newlib(L, base64s);
	lua_setfield(L, -2, "base64");
	lua_pushcfunction(L, hmac);
	lua_setfield(L, -2, "hmac");
}
