// rocks_wal.cc - see rocks_wal.h. C++, because RocksDB's C API takes an environment but cannot make one, and flushes
// one column family at a time; it forwards, wal_file.c, flush_pace.c and manifest_guard.c have the rules.
#include "store/rocks_wal.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "base/clock.h"
#include "store/crc.h"
#include "store/flush_pace.h"
#include "store/manifest_guard.h"
#include "store/wal_file.h"

// As RocksDB's c.cc defines them.
struct rocksdb_env_t {
	rocksdb::Env *rep;
	bool is_default;
};
struct rocksdb_t {
	rocksdb::DB *rep;
};
struct rocksdb_column_family_handle_t {
	rocksdb::ColumnFamilyHandle *rep;
};

namespace
{

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus status(int err, const char *doing, const std::string &path)
{
	std::string what = std::string("While ") + doing + ": " + path;

	if (err == 0)
		return IOStatus::OK();
	if (err == ENOSPC || err == EDQUOT)
		return IOStatus::NoSpace(what, strerror(err));
	return IOStatus::IOError(what, strerror(err));
}

thread_local bool is_promised = false; // that what this thread commits is durable

class Log : public rocksdb::FSWritableFile
{
      public:
	Log(wal_file *file, const std::string &path, flush_pace *pace)
	    : file_(file), path_(path), pace_(pace)
	{
	}

	~Log() override
	{
		if (file_)
			wal_close(file_);
	}

	using FSWritableFile::Append;
	IOStatus Append(const Slice &data, const IOOptions &, IODebugContext *) override
	{
		flush_pace_logged(pace_, data.size());
		return status(wal_append(file_, data.data(), data.size()), "appending to", path_);
	}

	IOStatus Close(const IOOptions &, IODebugContext *) override
	{
		wal_file *file = file_;
		file_ = nullptr;
		return file ? status(wal_close(file), "closing", path_) : IOStatus::OK();
	}

	IOStatus Flush(const IOOptions &, IODebugContext *) override
	{
		return IOStatus::OK();
	}

	// Of a commit that is to be durable, or of a flush.
	IOStatus Sync(const IOOptions &, IODebugContext *) override
	{
		int err = is_promised ? wal_sync(file_) : wal_sync_later(file_);
		return status(err, "syncing", path_);
	}

	bool IsSyncThreadSafe() const override
	{
		return true;
	}

	uint64_t GetFileSize(const IOOptions &, IODebugContext *) override
	{
		return wal_length(file_);
	}

      private:
	wal_file *file_;
	const std::string path_;
	flush_pace *const pace_;
};

// A blob file. What a flush writes goes at flush_pace.h's pace; compactions go as they go.
class Blobs : public rocksdb::FSWritableFileOwnerWrapper
{
      public:
	Blobs(std::unique_ptr<rocksdb::FSWritableFile> &&file, flush_pace *pace)
	    : FSWritableFileOwnerWrapper(std::move(file)), pace_(pace)
	{
	}

	~Blobs() override
	{
		if (is_flush_)
			flush_file_end(&flush_);
	}

	// RocksDB says so before it writes: IO_HIGH is a flush, and one that commits wait for is not.
	void SetIOPriority(rocksdb::Env::IOPriority priority) override
	{
		FSWritableFileOwnerWrapper::SetIOPriority(priority);
		target()->SetIOPriority(priority);
		if (is_flush_ || priority != rocksdb::Env::IO_HIGH)
			return;
		is_flush_ = true;
		flush_file_begin(&flush_, pace_, clock_monotonic_ns(&clock_real));
	}

	using FSWritableFileOwnerWrapper::Append;
	IOStatus Append(const Slice &data, const IOOptions &options, IODebugContext *debug) override
	{
		IOStatus done;
		for (size_t at = 0, n; at < data.size() && done.ok(); at += n) {
			bool is_paced = false;
			n = may_write(data.size() - at, &is_paced);
			done = target()->Append(Slice(data.data() + at, n), options, debug);
			length_ += n;
			if (done.ok() && is_paced) {
				done = target()->RangeSync(handed_, length_ - handed_, options,
							   debug);
				handed_ = length_;
			}
		}
		return done;
	}

	// Past the page cache: no RangeSync, a piece is on the disk already. Pieces of flush_pace.c are whole pages.
	using FSWritableFileOwnerWrapper::PositionedAppend;
	IOStatus PositionedAppend(const Slice &data, uint64_t offset, const IOOptions &options,
				  IODebugContext *debug) override
	{
		IOStatus done;
		for (size_t at = 0, n; at < data.size() && done.ok(); at += n) {
			bool is_paced = false;
			n = may_write(data.size() - at, &is_paced);
			done = target()->PositionedAppend(Slice(data.data() + at, n), offset + at,
							  options, debug);
		}
		return done;
	}

	IOStatus RangeSync(uint64_t offset, uint64_t n, const IOOptions &options,
			   IODebugContext *debug) override
	{
		if (offset + n <= handed_)
			return IOStatus::OK();
		return target()->RangeSync(offset, n, options, debug);
	}

      private:
	size_t may_write(size_t n, bool *is_paced)
	{
		return is_flush_ ? flush_file_wait(&flush_, n, is_paced) : n;
	}

	flush_pace *const pace_;
	bool is_flush_ = false;
	flush_file flush_;
	uint64_t length_ = 0, handed_ = 0; // handed to the disk piece by piece, up to there
};

// A blob file that is read: flush_pace.h wants to know.
class BlobsReader : public rocksdb::FSRandomAccessFileOwnerWrapper
{
      public:
	BlobsReader(std::unique_ptr<rocksdb::FSRandomAccessFile> &&file, flush_pace *pace)
	    : FSRandomAccessFileOwnerWrapper(std::move(file)), pace_(pace)
	{
	}

	IOStatus Read(uint64_t offset, size_t n, const IOOptions &options, Slice *result,
		      char *scratch, IODebugContext *debug) const override
	{
		flush_pace_read(pace_, clock_monotonic_ns(&clock_real));
		return target()->Read(offset, n, options, result, scratch, debug);
	}

	IOStatus MultiRead(rocksdb::FSReadRequest *requests, size_t count, const IOOptions &options,
			   IODebugContext *debug) override
	{
		flush_pace_read(pace_, clock_monotonic_ns(&clock_real));
		return target()->MultiRead(requests, count, options, debug);
	}

      private:
	flush_pace *const pace_;
};

bool is_blobs(const std::string &path)
{
	static const std::string suffix = ".blob";

	return path.size() > suffix.size() &&
	       path.compare(path.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool is_manifest(const std::string &path, uint64_t *number)
{
	size_t slash = path.rfind('/');

	return manifest_number(path.c_str() + (slash == std::string::npos ? 0 : slash + 1), number);
}

// A MANIFEST: the guard hears how far it is on the disk before RocksDB does.
class Manifest : public rocksdb::FSWritableFileOwnerWrapper
{
      public:
	Manifest(std::unique_ptr<rocksdb::FSWritableFile> &&file, manifest_guard *guard,
		 uint64_t number)
	    : FSWritableFileOwnerWrapper(std::move(file)), guard_(guard)
	{
		end_.number = number;
	}

	using FSWritableFileOwnerWrapper::Append;
	IOStatus Append(const Slice &data, const IOOptions &options, IODebugContext *debug) override
	{
		end_.crc = crc32c_finished(end_.crc, data.data(), data.size());
		end_.bytes += data.size();
		return target()->Append(data, options, debug);
	}

	IOStatus Sync(const IOOptions &options, IODebugContext *debug) override
	{
		ks_why why = {};
		IOStatus done = target()->Sync(options, debug);
		if (done.ok() && manifest_guard_synced(guard_, &end_, &why) != ERR_NONE)
			done = IOStatus::IOError(why.text);
		return done;
	}

      private:
	manifest_guard *const guard_;
	manifest_end end_ = {};
};

class ManifestReader : public rocksdb::FSSequentialFileOwnerWrapper
{
      public:
	ManifestReader(std::unique_ptr<rocksdb::FSSequentialFile> &&file, uint64_t readable)
	    : FSSequentialFileOwnerWrapper(std::move(file)), left_(readable)
	{
	}

	IOStatus Read(size_t n, const IOOptions &options, Slice *result, char *scratch,
		      IODebugContext *debug) override
	{
		size_t most = n < left_ ? n : (size_t)left_;
		IOStatus done = target()->Read(most, options, result, scratch, debug);
		if (done.ok())
			left_ -= result->size();
		return done;
	}

	IOStatus Skip(uint64_t n) override
	{
		left_ -= n < left_ ? n : left_;
		return target()->Skip(n);
	}

      private:
	uint64_t left_;
};

class LogReader : public rocksdb::FSSequentialFile
{
      public:
	LogReader(wal_reader *reader, const std::string &path) : reader_(reader), path_(path)
	{
	}

	~LogReader() override
	{
		wal_reader_close(reader_);
	}

	IOStatus Read(size_t n, const IOOptions &, Slice *result, char *scratch,
		      IODebugContext *) override
	{
		size_t got = 0;
		int err = wal_reader_read(reader_, scratch, n, &got);
		*result = Slice(scratch, got);
		return status(err, "reading", path_);
	}

	IOStatus Skip(uint64_t n) override
	{
		char passed[4096];
		size_t got = 1;
		int err = 0;
		for (; n > 0 && got > 0 && !err; n -= got)
			err = wal_reader_read(reader_, passed,
					      n < sizeof passed ? n : sizeof passed, &got);
		return status(err, "reading", path_);
	}

      private:
	wal_reader *reader_;
	const std::string path_;
};

class Files : public rocksdb::FileSystemWrapper
{
      public:
	Files(wal_dir *dir, manifest_guard *guard, flush_pace *pace, bool past_cache)
	    : FileSystemWrapper(rocksdb::FileSystem::Default()), dir_(dir), guard_(guard),
	      pace_(pace), past_cache_(past_cache)
	{
	}

	const char *Name() const override
	{
		return "ks-wal";
	}

	IOStatus NewWritableFile(const std::string &path, const FileOptions &options,
				 std::unique_ptr<rocksdb::FSWritableFile> *out,
				 IODebugContext *debug) override
	{
		uint64_t number;
		wal_file *file = nullptr;
		if (is_blobs(path))
			return new_blobs(path, options, out, debug);
		if (is_manifest(path, &number))
			return new_manifest(path, number, options, out, debug);
		if (!wal_number(path.c_str(), &number))
			return target_->NewWritableFile(path, options, out, debug);
		int err = wal_create(dir_, path.c_str(), number, &file);
		if (!err)
			out->reset(new Log(file, path, pace_));
		return status(err, "making", path);
	}

	IOStatus NewSequentialFile(const std::string &path, const FileOptions &options,
				   std::unique_ptr<rocksdb::FSSequentialFile> *out,
				   IODebugContext *debug) override
	{
		uint64_t number;
		wal_reader *reader = nullptr;
		if (is_manifest(path, &number))
			return read_manifest(path, number, options, out, debug);
		if (!wal_number(path.c_str(), &number))
			return target_->NewSequentialFile(path, options, out, debug);
		int err = wal_reader_open(path.c_str(), number, &reader);
		if (err == ENOENT)
			return IOStatus::PathNotFound("While opening: " + path, strerror(err));
		if (!err)
			out->reset(new LogReader(reader, path));
		return status(err, "opening", path);
	}

	IOStatus NewRandomAccessFile(const std::string &path, const FileOptions &options,
				     std::unique_ptr<rocksdb::FSRandomAccessFile> *out,
				     IODebugContext *debug) override
	{
		IOStatus opened = target_->NewRandomAccessFile(path, options, out, debug);
		if (opened.ok() && past_cache_ && is_blobs(path))
			out->reset(new BlobsReader(std::move(*out), pace_));
		return opened;
	}

	IOStatus DeleteFile(const std::string &path, const IOOptions &options,
			    IODebugContext *debug) override
	{
		uint64_t number;
		if (!wal_number(path.c_str(), &number))
			return target_->DeleteFile(path, options, debug);
		int err = wal_delete(dir_, path.c_str(), number);
		if (err == ENOENT)
			return IOStatus::PathNotFound("While deleting: " + path, strerror(err));
		return status(err, "deleting", path);
	}

	IOStatus RenameFile(const std::string &from, const std::string &to,
			    const IOOptions &options, IODebugContext *debug) override
	{
		static const std::string current = "/CURRENT";
		IOStatus done = target_->RenameFile(from, to, options, debug);
		if (done.ok() && to.size() > current.size() &&
		    to.compare(to.size() - current.size(), current.size(), current) == 0)
			manifest_guard_named(guard_);
		return done;
	}

      private:
	IOStatus new_manifest(const std::string &path, uint64_t number, const FileOptions &options,
			      std::unique_ptr<rocksdb::FSWritableFile> *out, IODebugContext *debug)
	{
		int err = wal_sync_followed(dir_);
		if (err)
			return status(err, "syncing the log before", path);
		IOStatus made = target_->NewWritableFile(path, options, out, debug);
		if (made.ok())
			out->reset(new Manifest(std::move(*out), guard_, number));
		return made;
	}

	IOStatus read_manifest(const std::string &path, uint64_t number, const FileOptions &options,
			       std::unique_ptr<rocksdb::FSSequentialFile> *out,
			       IODebugContext *debug)
	{
		IOStatus opened = target_->NewSequentialFile(path, options, out, debug);
		if (opened.ok())
			out->reset(new ManifestReader(std::move(*out),
						      manifest_guard_readable(guard_, number)));
		return opened;
	}

	IOStatus new_blobs(const std::string &path, const FileOptions &options,
			   std::unique_ptr<rocksdb::FSWritableFile> *out, IODebugContext *debug)
	{
		IOStatus made = IOStatus::NotSupported();
		if (past_cache_ &&
		    flush_pace_is_past_cache(pace_, clock_monotonic_ns(&clock_real))) {
			FileOptions direct = options;
			direct.use_direct_writes = true;
			made = target_->NewWritableFile(path, direct, out, debug);
		}
		if (!made.ok()) // through the cache, or the file system cannot
			made = target_->NewWritableFile(path, options, out, debug);
		if (made.ok())
			out->reset(new Blobs(std::move(*out), pace_));
		return made;
	}

	wal_dir *const dir_;
	manifest_guard *const guard_;
	flush_pace *const pace_;
	const bool past_cache_;
};

} // namespace

struct rocksdb_env_t *rocks_wal_env_new(struct wal_dir *dir, struct manifest_guard *guard,
					struct flush_pace *pace, bool past_cache)
{
	auto env = rocksdb::NewCompositeEnv(std::make_shared<Files>(dir, guard, pace, past_cache));

	return new rocksdb_env_t{env.release(), false};
}

void rocks_wal_promise(bool is_durable)
{
	is_promised = is_durable;
}

char *rocks_wal_flush(struct rocksdb_t *db, struct rocksdb_column_family_handle_t *const *families,
		      size_t count)
{
	std::vector<rocksdb::ColumnFamilyHandle *> all;

	for (size_t i = 0; i < count; i++)
		all.push_back(families[i]->rep);
	rocksdb::Status flushed = db->rep->Flush(rocksdb::FlushOptions(), all);
	return flushed.ok() ? nullptr : strdup(flushed.ToString().c_str());
}
