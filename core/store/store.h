/* SPDX-License-Identifier: Apache-2.0
 *
 * An opened backing store, as the SCSI layer sees it: requests of any alignment and length (in whole logical blocks)
 * are made to fit what the plugin declared: split, bounced, emulated, sent to the pool or to the home worker.
 */
#ifndef TGTKIT_STORE_STORE_H
#define TGTKIT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#include "rt/loop.h"
#include "store/plugins.h"

struct store;

struct store_spec {
	const struct store_plugin *plugin;
	const char *path; /* the plugin's own */
	const struct store_setting *settings;
	size_t setting_count;
	bool create, read_only;
	uint64_t size_bytes; /* with create */
	uint32_t logical_block_bytes;
	const char *state_dir;
	/* Any thread: an event that the plugin raised. */
	void (*event)(void *context, enum tgtkit_event event);
	/* While it is being opened, any thread: the plugin says that it may still take so long.  NULL: nobody minds. */
	void (*open_takes)(void *context, uint64_t duration_us);
	void *event_context;
};

/* Control verbs.  They block: a pool thread, or start-up.  Never two at a time for one store. */
int store_check(const struct store_spec *spec, char error[static STORE_ERROR_BYTES]);
int store_open(const struct store_spec *spec, struct store **store, char error[static STORE_ERROR_BYTES]);
int store_refresh(struct store *store, char error[static STORE_ERROR_BYTES]);
int store_resize(struct store *store, uint64_t size_bytes, bool shrink, char error[static STORE_ERROR_BYTES]);
/* All settings anew; the caller has seen that only options which the schema calls reloadable have changed. */
int store_reload(struct store *store, const struct store_setting *settings, size_t count,
		 char error[static STORE_ERROR_BYTES]);
/* Takes the store from the host that has it. */
int store_take_over(struct store *store, char error[static STORE_ERROR_BYTES]);
/* Closes the queues on their workers (which must still run), then the plugin's handle, and frees the store.  Every
 * request has completed before. */
void store_close(struct store *store);

/* What the plugin declared (name, limits, flags), fixed at open except size_bytes. */
const struct tgtkit_capabilities *store_capabilities(const struct store *store);
/* Aligned writes up to this reach the plugin as the one request that they are, and are all or nothing there.  0: there
 * is no such length, or the plugin's limits may have a write split or bounced. */
uint32_t store_atomic_write_bytes(const struct store *store);
uint64_t store_size_bytes(const struct store *store); /* any thread; the newest, whole logical blocks */
const char *store_name(const struct store *store);    /* "file:/srv/a.img", for messages */
const struct store_plugin *store_plugin_of(const struct store *store);

/* One I/O of the SCSI layer.  Offset and length are whole logical blocks within the store's size. */
struct store_request {
	/* Set by the caller; unchanged until done. */
	uint32_t operation; /* TGTKIT_READ, WRITE, FLUSH, DISCARD, ZERO, EXTENTS */
	uint32_t flags;	    /* TGTKIT_REQUEST_FUA (emulated by a flush where the plugin lacks it), MAY_UNMAP */
	uint64_t offset, length;
	const struct tgtkit_segment *segments; /* READ and WRITE: together exactly `length` bytes */
	uint32_t segment_count;
	struct tgtkit_extent *extents; /* EXTENTS; a store that cannot tell answers one DATA extent */
	uint32_t extents_capacity;
	uint64_t deadline_ns;
	/* On the submitting worker, in RT_PHASE_COMPLETE, never inside store_submit. */
	void (*done)(struct store_request *self);
	/* Result: 0 or negative errno. */
	int status;
	uint32_t extents_count;
	/* private to core/store */
	struct store *store;
	struct tgtkit_worker *origin;  /* that submitted it */
	struct store_io *io;	       /* what the plugin works on, or */
	struct store_operation *steps; /* what makes several requests of it; both NULL once it has ended */
	struct store_request *next;
	struct rt_post post;
	bool cancelling, returned;
};

/* On a worker. */
void store_submit(struct store *store, struct store_request *request);
/* Best effort: `done` is still called exactly once, with -ECANCELED if the plugin gave up. */
void store_cancel(struct store_request *request);

/* What the plugin counts for this store: as many values as its table of counters has, STORE_MAXIMUM_COUNTERS at most.
 * Any thread, while the store is open. */
void store_read_counters(const struct store *store, uint64_t *values);

/* A failed flush of a store that may have dropped data: every write and flush fails with -EIO until it is closed. */
bool store_has_failed(const struct store *store);

#endif
