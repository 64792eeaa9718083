/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the load generator share.
 */
#ifndef TGTKIT_BENCH_LOAD_H
#define TGTKIT_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/bytes.h"

#define HEADER_BYTES	  48u
#define DIGEST_BYTES	  4u
#define INPUT_BYTES	  (128u << 10)
#define OWN_SEGMENT_BYTES (256u << 10)
#define NS_PER_S	  1000000000ull

/* One PDU waiting to be sent; its payload comes from the shared pattern. */
struct output {
	uint8_t header[HEADER_BYTES + DIGEST_BYTES];
	uint8_t trailer[DIGEST_BYTES];
	uint32_t payload_bytes;
};

struct slot {
	uint64_t started_ns, lba;
	bool is_write, is_flush;
};

struct session {
	int fd;
	struct slot *slots;
	uint32_t *free_slots, free_count;
	uint8_t *input;
	size_t input_bytes, skip_bytes; /* skip: payload of the current PDU that has not arrived yet */
	struct output *outputs;
	size_t output_count, output_room, output_first, output_offset, output_sealed;
	uint32_t cmd_sn, max_cmd_sn, exp_stat_sn, login_tag;
	uint32_t segment_bytes, first_burst_bytes;
	bool digests; /* both are in force */
	bool immediate_data, initial_r2t, waits_for_room, watched_for_room;
	uint64_t next_lba;
};

extern struct load_options {
	const char *host, *port, *target;
	unsigned lun, read_percent, depth, sessions, pid;
	double seconds, warm_up_seconds;
	uint32_t io_bytes;
	uint64_t span_bytes;
	uint64_t ios, flush_every; /* 0: as many as there is time for, never */
	bool sequential, poll, logins, digests;
} load_options;

void __attribute__((noreturn, format(printf, 1, 2))) load_fail(const char *format, ...);
void *load_allocate(size_t count, size_t size); /* zeroed; never NULL */
uint64_t load_now_ns(void);

/* ---- Figures ---- */

void load_start_measuring(void);
/* One I/O has ended; counts only while measuring. */
void load_count(uint64_t latency_ns, bool failed);
uint64_t load_target_cpu_ns(void); /* of all threads of the target; 0 without a process id */
void load_print_figures(double seconds, uint64_t cpu_ns);
uint64_t load_errors(void);

/* ---- Blocking exchanges: login, and the few commands before the load ---- */

static inline size_t load_padded(size_t bytes)
{
	return (bytes + 3) & ~(size_t)3;
}

void load_send_all(int fd, const void *data, size_t bytes);
/* CRC32C of `bytes` as it stands on the wire. */
void load_put_digest(uint8_t to[static DIGEST_BYTES], const void *from, size_t bytes);
/* One PDU without AHS; the data segment is NUL-terminated.  Digests are taken without a look: what is measured is the
 * target. */
size_t load_receive_pdu(const struct session *session, uint8_t header[static HEADER_BYTES], char *data, size_t room);
/* Connects and logs in; `number` tells the sessions of this process apart. */
void load_log_in(struct session *session, unsigned number);
/* Gets rid of unit attentions; the size of the LUN. */
void load_prepare_unit(struct session *session, uint64_t *blocks, uint32_t *bytes_per_block);
void load_fill_command(struct session *session, uint8_t header[static HEADER_BYTES], uint32_t tag);

/* ---- Sessions under load ---- */

/* All sessions, logged in and watched by the epoll instance. */
struct session *load_open_sessions(int epoll_fd);
/* Takes what has arrived, starts what has room, sends what goes. */
void load_serve(struct session *session);
/* As many I/Os as were wanted have ended, and the last of them are flushed. */
bool load_is_over(void);

#endif
