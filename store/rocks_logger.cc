// rocks_logger.cc - see rocks_logger.h. C++, because RocksDB's C API of this version can take a
// logger but not make one.
#include "store/rocks_logger.h"

#include <cstdarg>
#include <cstdio>
#include <memory>

#include <rocksdb/env.h>

extern "C" {
#include "base/log.h"
}

// As RocksDB's c.cc defines it. Later versions have rocksdb_logger_create_callback_logger instead.
struct rocksdb_logger_t {
	std::shared_ptr<rocksdb::Logger> rep;
};

namespace
{

class Forward : public rocksdb::Logger
{
      public:
	Forward() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL)
	{
	}

	// Options and versions, at every open.
	void LogHeader(const char *, va_list) override
	{
	}

	using Logger::Logv;
	void Logv(const rocksdb::InfoLogLevel level, const char *format, va_list args) override
	{
		char text[1024];

		if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL)
			return;
		vsnprintf(text, sizeof text, format, args);
		// What it calls an error may well be one that it gets over; those that concern a
		// caller come back as that call's error.
		log_write(LOG_WARN, "rocksdb", "%s", text);
	}
};

} // namespace

struct rocksdb_logger_t *rocks_logger_new(void)
{
	return new rocksdb_logger_t{std::make_shared<Forward>()};
}

void rocks_logger_free(struct rocksdb_logger_t *l)
{
	delete l;
}
