// crc_interpose.cc - RocksDB's CRC32C, done by ISA-L.
//
// Distributions build librocksdb without SSE 4.2; its table-driven CRC32C then costs a third of the
// throughput of appends. The dynamic linker takes a symbol from the executable before it looks into
// libraries, so this definition serves librocksdb's own calls as well. It must be linked into the
// executable itself and exported from it; the CMake target ks_crc_interpose does both.
#include "store/crc.h"

namespace rocksdb
{
namespace crc32c
{

__attribute__((visibility("default"))) uint32_t Extend(uint32_t crc, const char *data, size_t len)
{
	return crc32c_finished(crc, data, len);
}

} // namespace crc32c
} // namespace rocksdb
