/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that breaks one rule of the ABI, the one that its path names: "rogue:complete-twice".  It proves that hosts
 * for tests notice.  Not for any other use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tgtkit/plugin.h>

#define SIZE_BYTES    (1u << 20)
#define SCRATCH_BYTES 16

static const struct tgtkit_host *the_host;

struct rogue {
	struct tgtkit_unit *unit;
	struct tgtkit_queue *queue;
	char rule[32];
};

static int rogue_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		      struct tgtkit_error *error)
{
	struct rogue *rogue;

	if (strcmp(args->path, "fail-without-reason") == 0)
		return -EIO;
	rogue = (struct rogue *)calloc(1, sizeof(*rogue));
	if (rogue == NULL || strlen(args->path) >= sizeof(rogue->rule)) {
		strcpy(error->message, "no such rule");
		free(rogue);
		return -EINVAL;
	}
	rogue->unit = args->unit;
	strcpy(rogue->rule, args->path);
	capabilities->size_bytes = SIZE_BYTES;
	capabilities->flags = TGTKIT_CAN_EXTENTS;
	if (strcmp(rogue->rule, "odd-alignment") == 0)
		capabilities->offset_alignment_bytes = 3;
	*handle = rogue;
	return 0;
}

static void rogue_close(void *handle)
{
	struct rogue *rogue = (struct rogue *)handle;

	free(rogue);
}

static int rogue_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	struct rogue *rogue = (struct rogue *)handle;

	rogue->queue = args->queue;
	*queue_context = rogue;
	return 0;
}

static void rogue_queue_close(void *queue_context)
{
	(void)queue_context;
}

static struct tgtkit_unit *closed_unit;

static int rogue_submit(void *queue_context, struct tgtkit_request *request)
{
	struct rogue *rogue = (struct rogue *)queue_context;
	const struct tgtkit_segment *last = &request->segments[request->segment_count - 1];

	if (strcmp(rogue->rule, "scribble-scratch") == 0)
		memset(request->scratch, 0, SCRATCH_BYTES + 1);
	if (strcmp(rogue->rule, "scribble-buffer") == 0)
		((char *)last->address)[last->length] = 0;
	if (strcmp(rogue->rule, "change-request") == 0)
		request->offset += 512;
	if (strcmp(rogue->rule, "ready-unasked") == 0)
		the_host->queue_ready(rogue->queue);
	if (strcmp(rogue->rule, "two-lines") == 0)
		the_host->log(rogue->unit, TGTKIT_LOG_INFO, "one\ntwo");
	if (strcmp(rogue->rule, "event-after-close") == 0 && closed_unit != NULL)
		the_host->event(closed_unit, TGTKIT_EVENT_LOST);
	closed_unit = rogue->unit;
	the_host->complete(request, strcmp(rogue->rule, "positive-status") == 0 ? 1 : 0);
	if (strcmp(rogue->rule, "complete-twice") == 0)
		the_host->complete(request, 0);
	return strcmp(rogue->rule, "fail-submit") == 0 ? -EIO : 0;
}

static struct tgtkit_plugin plugin;
static struct tgtkit_async async;
static const char *const prefixes[] = {"rogue", NULL};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	async.size = sizeof(async);
	async.queue_open = rogue_queue_open;
	async.submit = rogue_submit;
	async.queue_close = rogue_queue_close;
	plugin.size = sizeof(plugin);
	plugin.abi_major = TGTKIT_ABI_MAJOR;
	plugin.abi_minor = TGTKIT_ABI_MINOR;
	plugin.name = "rogue";
	plugin.version = "1";
	plugin.description = "breaks the rule that its path names (for tests)";
	plugin.prefixes = prefixes;
	plugin.scratch_bytes = SCRATCH_BYTES;
	plugin.open = rogue_open;
	plugin.close = rogue_close;
	plugin.async = &async;
	return &plugin;
}
