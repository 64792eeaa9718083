/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkit plugin ABI: what a backing store has to provide, and what the host offers it.
 *
 * A plugin is a shared object NAME.so that exports one function, tgtkit_plugin_v1.  It imports nothing from the host:
 * everything it may call arrives in `struct tgtkit_host`.  Valid as C99, C11, C17 and C++11.
 *
 * Life of a unit:
 *
 *     open -> queue_open (per worker, at its first I/O) -> submit / complete ... -> queue_close (each) -> close
 *
 * `open`, `refresh`, `reload`, `resize`, `take_over` and `close` are control verbs: they may block, they never run on a
 * worker, and never two at a time for one unit.  After `close` has returned, the plugin calls nothing on behalf of that unit.
 *
 * Growth is append-only: every structure starts with its own size in bytes, as the side that made it knows it.  A
 * reader looks at a field only if the size covers it.  Fields, flags and enumerators that a side does not know are
 * zero when it writes; a receiver refuses flags that it does not know.  From 1.1 on a binary that was built for an
 * older minor version is served by every newer host, and one built for a newer minor version by an older host as far as
 * it does without what that host lacks.
 *
 * Errors are 0 or a negative errno value.  The host turns them into sense data: -ETIMEDOUT, -ECONNRESET, -EPIPE,
 * -ENOTCONN, -EHOSTUNREACH: retry (ABORTED COMMAND); -EIO: medium error; -ENOSPC: space allocation failed;
 * -EROFS: write protected; -ESHUTDOWN: backend known down or fenced (NOT READY); -EAGAIN (of a request that was taken):
 * no room up to its deadline (TASK SET FULL); anything else: hardware error.
 */
#ifndef TGTKIT_PLUGIN_H
#define TGTKIT_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TGTKIT_ABI_MAJOR 1
#define TGTKIT_ABI_MINOR 1

#if defined(__GNUC__)
#define TGTKIT_EXPORT __attribute__((visibility("default")))
#define TGTKIT_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define TGTKIT_EXPORT
#define TGTKIT_PRINTF(format_index, first_argument)
#endif

/* Opaque objects of the host. */
struct tgtkit_unit;   /* an opened backing store */
struct tgtkit_queue;  /* one I/O queue of a unit, bound to one worker */
struct tgtkit_worker; /* an event-loop thread */
struct tgtkit_watch;  /* a watched file descriptor */
struct tgtkit_timer;  /* a one-shot timer */

/* ---- Options ------------------------------------------------------------------------------------------------- */

enum tgtkit_option_type {
	TGTKIT_OPTION_BOOL = 1,
	TGTKIT_OPTION_INTEGER = 2, /* signed 64 bits, between minimum and maximum */
	TGTKIT_OPTION_SIZE = 3,    /* bytes, 0 to 2^63-1; people write 4M, 10G; between minimum and maximum */
	TGTKIT_OPTION_STRING = 4,
};

enum {
	TGTKIT_OPTION_REQUIRED = 1u << 0,
	TGTKIT_OPTION_SECRET = 1u << 1,     /* never shown nor logged */
	TGTKIT_OPTION_RELOADABLE = 1u << 2, /* handed to `reload` when it changes; others need a reopen */
	TGTKIT_OPTION_PREFIX = 1u << 3,     /* key is a prefix ("ceph_"): any key that starts with it is a STRING option */
};

/* One option.  `key` NULL ends a schema.  Strings live as long as the plugin. */
struct tgtkit_option {
	const char *key;
	uint32_t type;             /* enum tgtkit_option_type */
	uint32_t flags;            /* TGTKIT_OPTION_... */
	const char *default_value; /* as a person writes it; NULL: none (false, 0, NULL) */
	int64_t minimum, maximum;  /* INTEGER and SIZE; both 0: no bound but the type's */
	const char *help;          /* one line */
};

/* A parsed value.  The host hands over one per schema row, in the order of the schema (rows with
 * TGTKIT_OPTION_PREFIX yield none), then one per key that matched a prefix row.  Valid during the call. */
struct tgtkit_value {
	const char *key;
	uint32_t type;
	uint32_t is_set; /* 0: the default */
	union {
		bool boolean;
		int64_t integer;
		uint64_t size_bytes;
		const char *string; /* NULL if there is neither value nor default */
	} as;
};

/* ---- Capabilities -------------------------------------------------------------------------------------------- */

enum {
	TGTKIT_CAN_FLUSH = 1u << 0,
	TGTKIT_CAN_FUA = 1u << 1,
	TGTKIT_CAN_DISCARD = 1u << 2,
	/* Every byte of any discarded range, aligned or not, reads zero from completion on. */
	TGTKIT_DISCARD_READS_ZERO = 1u << 3,
	TGTKIT_CAN_ZERO = 1u << 4,
	TGTKIT_CAN_EXTENTS = 1u << 5,
	TGTKIT_CAN_COMPARE_AND_WRITE = 1u << 6,
	TGTKIT_CAN_COPY = 1u << 7,
	TGTKIT_SHARED_WRITERS = 1u << 8, /* several hosts may write the store at the same time */
	TGTKIT_READ_ONLY = 1u << 9,
	TGTKIT_VOLATILE_CACHE = 1u << 10, /* a completed write may be lost until a flush has covered it */
	TGTKIT_ROTATIONAL = 1u << 11,
	/* After a failed flush the data is still held, and the flush may be repeated.  Without this bit the host takes
	 * the data for lost and fails every write and flush until the unit is reopened. */
	TGTKIT_RETAINS_DIRTY = 1u << 12,
};

/* Filled, all of it, by `open`, `refresh` and `resize`; handed over zeroed but for `size`.  0 means: no limit, or not
 * known. */
struct tgtkit_capabilities {
	size_t size;
	uint64_t size_bytes;                   /* of the store; a tail below one logical block is not served */
	uint32_t flags;                        /* TGTKIT_CAN_... and so on */
	uint32_t offset_alignment_bytes;       /* power of two to 1 MiB: offset and length of READ and WRITE, and
	                                        * size_bytes; 0: 1 */
	uint32_t memory_alignment_bytes;       /* power of two up to 4096: address and length of a segment; 0: 1 */
	uint32_t physical_block_bytes;         /* power of two */
	uint32_t maximum_transfer_bytes;       /* of one READ or WRITE */
	uint32_t maximum_segments;             /* of one READ or WRITE */
	uint32_t optimal_transfer_bytes;
	uint64_t maximum_discard_bytes;
	uint32_t discard_granularity_bytes;    /* ranges aligned to this really free space */
	uint64_t maximum_zero_bytes;
	uint32_t atomic_write_bytes;           /* aligned writes up to this are all or nothing, also over a power cut */
	uint32_t maximum_compare_and_write_bytes;
	uint32_t max_queues;                   /* async only.  0: a queue on every worker; 1: one home worker */
	uint32_t max_parallel;                 /* blocking only: calls at a time for this unit; 0: the host's default */
	char identity[64];                     /* a stable name of the stored volume (UUID), "" where the store has none */
};

/* ---- Requests ------------------------------------------------------------------------------------------------- */

enum tgtkit_operation {
	TGTKIT_READ = 1,
	TGTKIT_WRITE = 2,
	TGTKIT_FLUSH = 3,             /* covers every write, discard and zero of the unit, on any queue, whose
	                               * completion was reported before this was submitted */
	TGTKIT_DISCARD = 4,
	TGTKIT_ZERO = 5,
	TGTKIT_EXTENTS = 6,
	TGTKIT_COMPARE_AND_WRITE = 7, /* segments hold `length` bytes to compare, then `length` bytes to write */
	TGTKIT_COPY = 8,              /* from source_offset of the same unit */
};

enum {
	TGTKIT_REQUEST_FUA = 1u << 0,      /* WRITE, ZERO, DISCARD: stable before completion */
	TGTKIT_REQUEST_MAY_UNMAP = 1u << 1, /* ZERO: the range may become a hole */
};

#define TGTKIT_NO_REGION 0xffffffffu

/* A piece of memory.  `region` is the index of the region (see tgtkit_queue_open_args) that holds it. */
struct tgtkit_segment {
	void *address;
	uint32_t length;
	uint32_t region;
};

/* Memory that requests point into, fixed before the first queue is opened: for registered buffers.  Length 0: none of the
 * queue's requests points there.  The list stays until queue_close. */
struct tgtkit_region {
	void *address;
	size_t length;
};

/* How the data of a request is held.  Only CORE exists in version 1; the other names are reserved. */
enum tgtkit_payload {
	TGTKIT_PAYLOAD_CORE = 0, /* memory of the host */
	TGTKIT_PAYLOAD_LENT = 1, /* memory of the plugin, with a release call */
	TGTKIT_PAYLOAD_FILE = 2, /* a file descriptor and an offset */
};

enum {
	TGTKIT_EXTENT_DATA = 0,
	TGTKIT_EXTENT_HOLE = 1u << 0, /* not allocated */
	TGTKIT_EXTENT_ZERO = 1u << 1, /* reads zero */
};

struct tgtkit_extent {
	uint64_t offset, length; /* bytes */
	uint32_t flags;          /* TGTKIT_EXTENT_... */
	uint32_t reserved;
};

/* One I/O.  Owned by the host: request, segments, memory and scratch stay valid, and unchanged, until the host has
 * processed the completion, cancelled or not.  A plugin writes to `scratch` and to the fields marked "out" only. */
struct tgtkit_request {
	uint32_t operation; /* enum tgtkit_operation */
	uint32_t flags;     /* TGTKIT_REQUEST_... */
	uint64_t offset;    /* bytes; whole logical blocks, READ and WRITE also aligned as the plugin declared */
	uint64_t length;    /* bytes; 0 for FLUSH */
	const struct tgtkit_segment *segments;
	uint32_t segment_count;
	uint32_t payload;       /* enum tgtkit_payload */
	uint64_t deadline_ns;   /* CLOCK_MONOTONIC: past this nobody waits for a success; 0: none */
	void *scratch;          /* tgtkit_plugin.scratch_bytes, aligned as malloc aligns; undefined content at submit */
	struct tgtkit_extent *extents; /* EXTENTS: room for extents_capacity; contiguous, from offset on */
	uint32_t extents_capacity;
	uint32_t extents_count;   /* out: at least 1 on success */
	uint64_t miscompare_offset; /* out, COMPARE_AND_WRITE with -EILSEQ: first differing byte, from `offset` */
	uint64_t source_offset;   /* COPY */
};

/* ---- Host services -------------------------------------------------------------------------------------------- */

enum tgtkit_log_level {
	TGTKIT_LOG_ERROR = 0,
	TGTKIT_LOG_WARNING = 1,
	TGTKIT_LOG_INFO = 2,
	TGTKIT_LOG_DEBUG = 3,
};

enum tgtkit_event {
	TGTKIT_EVENT_CAPACITY_CHANGED = 1, /* the host calls `refresh` */
	TGTKIT_EVENT_LOST = 2,             /* the backend is known to be down: units answer NOT READY */
	TGTKIT_EVENT_BACK = 3,
	TGTKIT_EVENT_FENCED = 4,           /* another host took the store over; for ever, until reopened */
	TGTKIT_EVENT_STANDBY = 5,          /* another host has the store, which `take_over` would take from it: the
	                                    * unit's port groups report standby */
	TGTKIT_EVENT_ACTIVE = 6,           /* this host has it */
};

enum { TGTKIT_FD_READ = 1u << 0, TGTKIT_FD_WRITE = 1u << 1, TGTKIT_FD_ERROR = 1u << 2 };

/* Work to be run elsewhere.  Memory of the plugin, free again when `run` is entered. */
struct tgtkit_work {
	void (*run)(struct tgtkit_work *work);
	void *host_private[3];
};

struct tgtkit_host {
	size_t size;
	uint32_t abi_major, abi_minor;

	/* Any thread.  `unit` NULL: the plugin as a whole.  One line, no newline; the host adds the object's name. */
	void (*log)(struct tgtkit_unit *unit, int level, const char *format, ...) TGTKIT_PRINTF(3, 4);

	/* Any thread, also inside `submit`; exactly once per request that `submit` took with 0.  Only enqueues: never
	 * calls back into the plugin. */
	void (*complete)(struct tgtkit_request *request, int status);
	/* Any thread: owed once after `submit` returned -EAGAIN, when the queue takes requests again.  Only enqueues. */
	void (*queue_ready)(struct tgtkit_queue *queue);
	/* Any thread, from inside `open` (whose return a plugin's own thread cannot know) to the return of `close`.  Only
	 * enqueues. */
	void (*event)(struct tgtkit_unit *unit, int event);

	/* Any thread.  Alignment a power of two.  NULL when there is no memory. */
	void *(*aligned_alloc)(size_t alignment, size_t size);
	void (*aligned_free)(void *memory);

	/* Run on a worker, on its own loop only (inside queue_open, submit, commit, poll, ready, expired, run, ...).
	 * `watch_add` watches `fd` (level-triggered) and calls `ready` with the TGTKIT_FD_... that hold. */
	int (*watch_add)(struct tgtkit_worker *worker, int fd, uint32_t events,
			 void (*ready)(void *context, int fd, uint32_t events), void *context,
			 struct tgtkit_watch **watch);
	int (*watch_modify)(struct tgtkit_watch *watch, uint32_t events);
	void (*watch_remove)(struct tgtkit_watch *watch); /* before the fd is closed */
	int (*timer_create)(struct tgtkit_worker *worker, void (*expired)(void *context), void *context,
			    struct tgtkit_timer **timer);
	void (*timer_arm)(struct tgtkit_timer *timer, uint64_t delay_us); /* replaces an earlier arming */
	void (*timer_disarm)(struct tgtkit_timer *timer);
	void (*timer_destroy)(struct tgtkit_timer *timer);

	/* Any thread: runs `work` on that worker, soon, in the order of the calls from one thread. */
	void (*post)(struct tgtkit_worker *worker, struct tgtkit_work *work);
	/* Any thread: runs `work`, which may block, on a thread of the host's pool. */
	void (*offload)(struct tgtkit_unit *unit, struct tgtkit_work *work);

	/* Any thread.  A named extension of the host, or NULL. */
	const void *(*extension)(const char *name);

	/* From inside `open`: it waits for something that may take so long from now on, as another host's lock does to
	 * lapse.  The host's own limit on opening does not end it before. */
	void (*open_takes)(struct tgtkit_unit *unit, uint64_t duration_us);
};

/* ---- The plugin ------------------------------------------------------------------------------------------------ */

/* What went wrong, for a person: names the object and the cause; the host adds plugin and path. */
struct tgtkit_error {
	char message[512];
};

enum {
	TGTKIT_OPEN_CREATE = 1u << 0,    /* make the store, of size_bytes; -EEXIST never: an existing store is opened */
	TGTKIT_OPEN_READ_ONLY = 1u << 1,
};

struct tgtkit_open_args {
	size_t size;
	struct tgtkit_unit *unit;
	const char *path;                  /* without the prefix; valid during the call */
	const struct tgtkit_value *values; /* see struct tgtkit_value */
	size_t value_count;
	uint32_t flags;                    /* TGTKIT_OPEN_... */
	uint64_t size_bytes;               /* with TGTKIT_OPEN_CREATE */
	uint32_t logical_block_bytes;      /* that the unit will be served with */
	const char *state_dir;             /* where the host keeps state; "" if it keeps none */
};

struct tgtkit_queue_open_args {
	size_t size;
	struct tgtkit_queue *queue;
	struct tgtkit_worker *worker;
	void *worker_context; /* of worker_open, or NULL */
	const struct tgtkit_region *regions;
	uint32_t region_count;
};

enum { TGTKIT_RESIZE_SHRINK = 1u << 0 };

/* Counters appear in the host's metrics. */
struct tgtkit_counter {
	const char *name; /* NULL ends the table; [a-z_]+, the host adds a prefix */
	const char *help;
	uint32_t is_gauge;
};

/* Blocking tier: called on a thread of the host's pool, several at a time up to max_parallel.  `length` is always
 * transferred whole or the call fails.  `flags` is TGTKIT_REQUEST_..., only those that were declared. */
struct tgtkit_blocking {
	size_t size;
	int (*pread)(void *handle, void *buffer, size_t length, uint64_t offset);                       /* required */
	int (*pwrite)(void *handle, const void *buffer, size_t length, uint64_t offset, uint32_t flags); /* required
	                                                                       * unless every unit is read-only */
	int (*flush)(void *handle);
	int (*discard)(void *handle, uint64_t offset, uint64_t length, uint32_t flags);
	int (*zero)(void *handle, uint64_t offset, uint64_t length, uint32_t flags);
	int (*extents)(void *handle, uint64_t offset, uint64_t length, struct tgtkit_extent *extents,
		       uint32_t capacity, uint32_t *count);
	/* Optional, on a worker: never wait.  Bytes transferred, or a negative errno.  -EAGAIN, -EOPNOTSUPP or a short
	 * count send what is left to the pool.  Not called for a write with FUA. */
	ssize_t (*preadv_nowait)(void *handle, const struct iovec *iov, int count, uint64_t offset);
	ssize_t (*pwritev_nowait)(void *handle, const struct iovec *iov, int count, uint64_t offset);
};

/* Async tier: all of it on the worker that owns the queue, none of it may wait. */
struct tgtkit_async {
	size_t size;
	int (*queue_open)(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context);
	/* 0: taken, one `complete` will follow.  -EAGAIN: not taken, one `queue_ready` will follow, and the host submits
	 * nothing to this queue before.  Nothing else: an error is a completion. */
	int (*submit)(void *queue_context, struct tgtkit_request *request);
	/* After a batch of submits, once per context: the worker context if there is worker_open, else the queue's. */
	void (*commit)(void *context); /* optional */
	/* Optional, best effort: the request may still succeed, or complete with -ECANCELED.  Its completion may be
	 * under way already. */
	void (*cancel)(void *queue_context, struct tgtkit_request *request);
	/* No request is outstanding.  A `queue_ready` that is owed lapses: the queue is not named again. */
	void (*queue_close)(void *queue_context);
	/* Optional: one context per plugin and worker, shared by its units. */
	int (*worker_open)(struct tgtkit_worker *worker, void **worker_context);
	void (*worker_close)(void *worker_context); /* no queue is open */
	/* Optional: called in every turn of the loop while requests are in flight.  Same context as commit. */
	void (*poll)(void *context);
};

struct tgtkit_plugin {
	size_t size;
	uint32_t abi_major, abi_minor; /* TGTKIT_ABI_MAJOR, TGTKIT_ABI_MINOR */
	const char *name;              /* NAME of NAME.so: [a-z0-9_-]+ */
	const char *version;
	const char *description;         /* one line */
	const char *const *prefixes;     /* "file", NULL-terminated; at least one */
	const struct tgtkit_option *options; /* NULL: none */
	uint32_t scratch_bytes;          /* wanted in every request */
	uint32_t reserved;

	/* Control verbs.  `error` is filled on failure.  Required are open and close. */
	int (*check)(const struct tgtkit_open_args *args, struct tgtkit_error *error); /* opens nothing for writing;
	                                                                                 * NULL: nothing to check */
	int (*open)(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		    struct tgtkit_error *error);
	int (*refresh)(void *handle, struct tgtkit_capabilities *capabilities,
		       struct tgtkit_error *error); /* NULL: the store never changes by itself */
	int (*resize)(void *handle, uint64_t size_bytes, uint32_t flags, struct tgtkit_capabilities *capabilities,
		      struct tgtkit_error *error); /* NULL: this store cannot change its size */
	void (*close)(void *handle);

	/* Exactly one of the two. */
	const struct tgtkit_blocking *blocking;
	const struct tgtkit_async *async;

	const struct tgtkit_counter *counters;                   /* NULL: none */
	void (*read_counters)(void *handle, uint64_t *values); /* any thread, does not wait */

	const void *(*extension)(const char *name); /* NULL: none */

	/* Control verb: values as for `open`, of which those of RELOADABLE options may be new.  On failure the old ones
	 * stay in force.  NULL: no option is reloadable. */
	int (*reload)(void *handle, const struct tgtkit_value *values, size_t value_count, struct tgtkit_error *error);

	/* Control verb, on an operator's command while the unit is in standby: takes the store from the host that has it,
	 * of which no write lands any more once this has returned 0, and raises TGTKIT_EVENT_ACTIVE.  A plugin that has it
	 * is asked to `refresh` now and then.  NULL: the plugin never raises TGTKIT_EVENT_STANDBY. */
	int (*take_over)(void *handle, struct tgtkit_error *error);
};

/* The one exported symbol.  Called once; `host` lives as long as the process.  NULL: the plugin cannot work here (it has
 * said why through host->log). */
TGTKIT_EXPORT const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host);

#define TGTKIT_PLUGIN_SYMBOL "tgtkit_plugin_v1"

#ifdef __cplusplus
}
#endif

#endif
