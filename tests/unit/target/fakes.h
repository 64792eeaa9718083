/* SPDX-License-Identifier: Apache-2.0
 *
 * What core/target calls of the layers below, played by the test: stores, the pool (whose jobs run when the test says
 * so), logical units, the iSCSI server.  The event loop is the real one, turned by hand.
 */
#ifndef TGTKIT_TESTS_UNIT_TARGET_FAKES_H
#define TGTKIT_TESTS_UNIT_TARGET_FAKES_H

#include <stdbool.h>

#include "iscsi/server.h"
#include "rt/worker.h"
#include "scsi/logical_unit.h"
#include "store/pool.h"
#include "store/store.h"

#define FAKE_MAXIMUM 16u

/* A store of the one plugin, "mem", whose options are `fast` (true) and `depth` (one digit). */
struct store {
	char path[256];
	uint64_t size_bytes;
	bool is_open, created, read_only;
	unsigned refreshes, take_overs;
	struct tgtkit_capabilities capabilities;
	void (*event)(void *context, enum tgtkit_event event);
	void *event_context;
};

struct scsi_logical_unit {
	char name[256], serial[64];
	struct store *store;
	bool is_quiet, exists, available, standby, read_only;
	unsigned capacity_changes;
	struct scsi_unit_quiesce *quiesce; /* under way */
};

struct iscsi_listener {
	struct sockaddr_storage address;
	uint16_t tag;
	bool is_open;
};

extern struct fakes {
	struct rt_loop *control;
	struct store stores[FAKE_MAXIMUM]; /* in the order of their opens */
	unsigned store_count;
	struct scsi_logical_unit units[FAKE_MAXIMUM];
	unsigned unit_count;
	struct iscsi_listener listeners[FAKE_MAXIMUM];
	unsigned listener_count;
	/* What to do: */
	const char *fail_open;		 /* path whose open fails */
	const char *identity;		 /* of stores opened from now on; NULL: none */
	enum tgtkit_event event_in_open; /* raised inside each open; 0: none */
	uint64_t growth_bytes;		 /* found by each refresh */
	int refresh_status;		 /* of refreshes */
	int resize_status, take_over_status;
	bool shrink_asked;
	int flush_status;	   /* of the next quiesces */
	bool holds_quiesce;	   /* quiesces do not end */
	uint16_t fail_listen_port; /* bind fails there */
	/* What happened: */
	struct iscsi_directory *directory; /* published last; the fake holds the reference */
	unsigned publications;
	bool server_runs;
	uint64_t server_stop_timeout_us;
} fakes;

void fakes_init(void);
void fakes_end(void);
/* The plugin is of the asynchronous tier, else of the blocking one. */
void fakes_be_asynchronous(bool be);
/* It can take stores over, and is asynchronous then; else it cannot, and is not. */
void fakes_can_take_over(bool can);
unsigned fakes_run_jobs(void); /* of the pool, those that are there now; how many */
/* Runs jobs and turns the loop until nothing happens any more. */
void fakes_settle(void);

#endif
