/* SPDX-License-Identifier: Apache-2.0
 *
 * A fake host: drives one plugin at a time without the core.  It implements every service of struct tgtkit_host on one
 * thread (the caller's) with a loop that turns while a call below waits, runs both tiers through one synchronous
 * interface, and watches that the plugin keeps the rules of <tgtkit/plugin.h>.
 *
 * A broken rule is printed and counted: tests end with fh_violations() == 0.  Where the fake host itself cannot go on,
 * it prints why and aborts.  All calls come from one thread, the one that made the first.
 */
#ifndef TGTKIT_TESTS_FAKE_HOST_H
#define TGTKIT_TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#define FH_SEGMENTS 16

/* ---- Plugins and units ----------------------------------------------------------------------------------------- */

/* Loads a plugin, once per file, and checks its descriptor.  Aborts if it cannot. */
const struct tgtkit_plugin *fh_load(const char *file);

struct fh_option {
	const char *key, *value; /* as a person writes it */
};

struct fh_spec {
	const struct tgtkit_plugin *plugin;
	const char *path;		 /* without the prefix */
	const struct fh_option *options; /* a key of NULL ends them; NULL: none */
	uint32_t flags;			 /* TGTKIT_OPEN_... */
	uint64_t size_bytes;
	uint32_t logical_block_bytes; /* 0: 512 */
	struct tgtkit_region region;  /* for the queue, as its number 0; no length: memory of the fake host */
	const char *state_dir;	      /* NULL: none */
};

struct fh_unit;

/* What the plugin said last, while it opened the unit, of how long that may take; 0: nothing. */
uint64_t fh_open_takes_us(const struct fh_unit *unit);

/* Control verbs: 0 or a negative errno, with the reason in fh_error(). */
int fh_check(const struct fh_spec *spec);
int fh_open(const struct fh_spec *spec, struct fh_unit **unit);
int fh_refresh(struct fh_unit *unit);
int fh_resize(struct fh_unit *unit, uint64_t size_bytes, uint32_t flags);
int fh_reload(struct fh_unit *unit, const struct fh_option *options);
int fh_take_over(struct fh_unit *unit);
/* Waits for requests that are outstanding, closes the queue, then the unit. */
void fh_close(struct fh_unit *unit);

const char *fh_error(void);
const struct tgtkit_capabilities *fh_capabilities(const struct fh_unit *unit);
void *fh_handle(const struct fh_unit *unit); /* of the plugin, for calling its hooks directly */

/* ---- One operation at a time, in either tier --------------------------------------------------------------------- */

/* Offset, length and flags within what the capabilities allow.  The plugin sees memory of the fake host, no better
 * aligned than it asked for, in several segments, with canaries around it. */
int fh_read(struct fh_unit *unit, void *buffer, size_t length, uint64_t offset);
int fh_write(struct fh_unit *unit, const void *buffer, size_t length, uint64_t offset, uint32_t flags);
int fh_flush(struct fh_unit *unit);
int fh_discard(struct fh_unit *unit, uint64_t offset, uint64_t length, uint32_t flags);
int fh_zero(struct fh_unit *unit, uint64_t offset, uint64_t length, uint32_t flags);
int fh_extents(struct fh_unit *unit, uint64_t offset, uint64_t length, struct tgtkit_extent *extents, uint32_t capacity,
	       uint32_t *count);

/* ---- Several at a time --------------------------------------------------------------------------------------------
 */

/* Begins an operation; in the blocking tier it is over on return.  `buffer` is filled when fh_wait returns. */
struct fh_pending;
struct fh_pending *fh_start(struct fh_unit *unit, uint32_t operation, void *buffer, size_t length, uint64_t offset,
			    uint32_t flags);
void fh_cancel(struct fh_pending *pending);
bool fh_is_done(const struct fh_pending *pending); /* does not turn the loop */
int fh_wait(struct fh_pending *pending);	   /* frees it too */

/* ---- Requests as they are, for measuring (async tier) ---------------------------------------------------------------
 */

struct fh_io {
	struct tgtkit_request request; /* the caller's, but for scratch */
	struct tgtkit_segment segments[FH_SEGMENTS];
	void (*done)(struct fh_io *io); /* on the loop; may submit it again */
	void *context;
	int status;
	/* private */
	struct fh_unit *unit;
	struct fh_io *next;
	struct tgtkit_request as_submitted;
	unsigned char *scratch_memory;
	int state;
};

struct fh_io *fh_io_new(struct fh_unit *unit);
void fh_io_submit(struct fh_io *io);
void fh_io_free(struct fh_io *io);

/* Turns the loop until `condition` holds.  Aborts after a minute. */
void fh_run_until(bool (*condition)(void *context), void *context);

/* ---- What has happened ----------------------------------------------------------------------------------------------
 */

unsigned fh_violations(void);
/* Turns the loop until the unit has raised `event` this often in all. */
void fh_wait_event(struct fh_unit *unit, enum tgtkit_event event, unsigned count);
unsigned fh_event_count(const struct fh_unit *unit, enum tgtkit_event event);
/* The newest line at `level` or worse, "" if there was none. */
const char *fh_last_log(int level);
unsigned fh_log_count(int level);

#endif
