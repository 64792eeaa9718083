/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rt/journal.h"
#include "rt/loop.h"

#define MESSAGE_BYTES	   1024
#define ESCAPED_BYTES	   4 /* of one byte: \xNN */
#define PREFIX_BYTES	   64
#define LIMIT_WINDOW_NS	   UINT64_C(1000000000)
#define NANOSECONDS_PER_MS 1000000

static const struct {
	const char *name;
	int priority; /* as syslog(3) counts them */
} levels[] = {
    [RT_LOG_ERROR] = {"error", 3},
    [RT_LOG_WARNING] = {"warning", 4},
    [RT_LOG_INFO] = {"info", 6},
    [RT_LOG_DEBUG] = {"debug", 7},
};

enum stream { STREAM_UNKNOWN, STREAM_PLAIN, STREAM_JOURNAL };

static _Atomic(enum rt_log_level) shown_level = RT_LOG_INFO;
static _Atomic(enum stream) stream = STREAM_UNKNOWN;

int rt_log_level_parse(const char *name, enum rt_log_level *level)
{
	for (enum rt_log_level i = RT_LOG_ERROR; i <= RT_LOG_DEBUG; i++)
		if (strcmp(name, levels[i].name) == 0) {
			*level = i;
			return 0;
		}
	return -EINVAL;
}

const char *rt_log_level_name(enum rt_log_level level)
{
	return levels[level].name;
}

enum rt_log_level rt_log_level(void)
{
	return atomic_load_explicit(&shown_level, memory_order_relaxed);
}

/* JOURNAL_STREAM holds device and inode of the stream that goes to the journal: a redirected stderr does not match. */
static enum stream find_stream(void)
{
	const char *value = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat status;

	if (value == NULL || sscanf(value, "%ju:%ju", &device, &inode) != 2 || fstat(STDERR_FILENO, &status) < 0)
		return STREAM_PLAIN;
	return status.st_dev == device && status.st_ino == inode ? STREAM_JOURNAL : STREAM_PLAIN;
}

void rt_log_set_level(enum rt_log_level level)
{
	atomic_store(&shown_level, level);
	atomic_store(&stream, find_stream());
}

bool rt_log_enabled(enum rt_log_level level)
{
	return level <= atomic_load_explicit(&shown_level, memory_order_relaxed);
}

/* Into `line`, which has PREFIX_BYTES.  The length. */
static size_t write_prefix(char *line, enum rt_log_level level, bool to_journal)
{
	struct timespec now;
	struct tm parts;
	size_t length;

	if (to_journal)
		return (size_t)snprintf(line, PREFIX_BYTES, "<%d>", levels[level].priority);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	length = strftime(line, PREFIX_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
	return length + (size_t)snprintf(line + length, PREFIX_BYTES - length,
					 ".%03ldZ %s: ", now.tv_nsec / NANOSECONDS_PER_MS, levels[level].name);
}

/* Into `to`, which has room for the worst case.  The length. */
static size_t escape(char *to, const char *from)
{
	static const char digits[] = "0123456789abcdef";
	char *start = to;

	for (; *from != '\0'; from++) {
		unsigned char byte = (unsigned char)*from;

		if (byte >= 0x20 && byte <= 0x7e) {
			*to++ = *from;
			continue;
		}
		*to++ = '\\';
		*to++ = 'x';
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 0xf];
	}
	return (size_t)(to - start);
}

/* One write per line, so that the lines of several threads do not mix. */
static void write_line(const char *line, size_t length)
{
	ssize_t written;

	do
		written = write(STDERR_FILENO, line, length);
	while (written < 0 && errno == EINTR);
}

static bool is_journal(void)
{
	enum stream now = atomic_load_explicit(&stream, memory_order_relaxed);

	if (now == STREAM_UNKNOWN) {
		now = find_stream();
		atomic_store(&stream, now);
	}
	return now == STREAM_JOURNAL;
}

static void emit(const struct rt_log_object *object, enum rt_log_level level, unsigned left_out, const char *format,
		 va_list arguments) __attribute__((format(printf, 4, 0)));

static void emit(const struct rt_log_object *object, enum rt_log_level level, unsigned left_out, const char *format,
		 va_list arguments)
{
	static const char cut_mark[] = "...";
	char message[MESSAGE_BYTES], line[PREFIX_BYTES + MESSAGE_BYTES * ESCAPED_BYTES + PREFIX_BYTES];
	const int saved_errno = errno; /* for %m, and for the caller */
	const bool to_journal = is_journal();
	size_t prefix_length, length;

	if (vsnprintf(message, sizeof(message), format, arguments) >= (int)sizeof(message))
		memcpy(message + sizeof(message) - sizeof(cut_mark), cut_mark, sizeof(cut_mark));
	prefix_length = write_prefix(line, level, to_journal);
	length = prefix_length + escape(line + prefix_length, message);
	line[length] = '\0';
	if (left_out > 0)
		length += (size_t)snprintf(line + length, PREFIX_BYTES - 1, " (%u more like this left out)", left_out);
	if (!to_journal || !rt_journal_send(levels[level].priority, object, line + prefix_length)) {
		line[length++] = '\n';
		write_line(line, length);
	}
	errno = saved_errno;
}

static const struct rt_log_object nothing;

void rt_log_v(enum rt_log_level level, const char *format, va_list arguments)
{
	if (rt_log_enabled(level))
		emit(&nothing, level, 0, format, arguments);
}

void rt_log(enum rt_log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	rt_log_v(level, format, arguments);
	va_end(arguments);
}

void rt_log_about(const struct rt_log_object *object, enum rt_log_level level, const char *format, ...)
{
	va_list arguments;

	if (!rt_log_enabled(level))
		return;
	va_start(arguments, format);
	emit(object, level, 0, format, arguments);
	va_end(arguments);
}

static void emit_limited(struct rt_log_limit *limit, const struct rt_log_object *object, enum rt_log_level level,
			 const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

static void emit_limited(struct rt_log_limit *limit, const struct rt_log_object *object, enum rt_log_level level,
			 const char *format, va_list arguments)
{
	uint64_t start_ns = atomic_load(&limit->window_start_ns), now_ns = rt_clock_ns();

	if (!rt_log_enabled(level))
		return;
	/* One thread opens the next window. */
	if (now_ns - start_ns >= LIMIT_WINDOW_NS &&
	    atomic_compare_exchange_strong(&limit->window_start_ns, &start_ns, now_ns))
		atomic_store(&limit->in_window, 0);
	if (atomic_fetch_add(&limit->in_window, 1) >= limit->burst) {
		atomic_fetch_add(&limit->left_out, 1);
		return;
	}
	emit(object, level, atomic_exchange(&limit->left_out, 0), format, arguments);
}

void rt_log_limited(struct rt_log_limit *limit, enum rt_log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	emit_limited(limit, &nothing, level, format, arguments);
	va_end(arguments);
}

void rt_log_limited_about(struct rt_log_limit *limit, const struct rt_log_object *object, enum rt_log_level level,
			  const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	emit_limited(limit, object, level, format, arguments);
	va_end(arguments);
}
