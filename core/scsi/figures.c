/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/figures.h"

#include "scsi/device_server.h"

/* SBC-4 and SPC-5: the operation codes that move a medium's data. */
static enum scsi_figures_kind kind_of(uint8_t operation_code)
{
	switch (operation_code) {
	case 0x08: /* READ(6), (10), (12), (16) */
	case 0x28:
	case 0xa8:
	case 0x88:
		return SCSI_FIGURES_READ;
	case 0x0a: /* WRITE(6), (10), (12), (16) */
	case 0x2a:
	case 0xaa:
	case 0x8a:
	case 0x2e: /* WRITE AND VERIFY(10), (12), (16) */
	case 0xae:
	case 0x8e:
	case 0x9c: /* WRITE ATOMIC(16) */
	case 0x89: /* COMPARE AND WRITE */
	case 0x8b: /* ORWRITE(16) */
	case 0x41: /* WRITE SAME(10), (16) */
	case 0x93:
		return SCSI_FIGURES_WRITE;
	case 0x35: /* SYNCHRONIZE CACHE(10), (16) */
	case 0x91:
		return SCSI_FIGURES_FLUSH;
	default:
		return SCSI_FIGURES_OTHER;
	}
}

static unsigned bucket_of(uint64_t latency_ns)
{
	uint64_t rest = latency_ns >> SCSI_FIGURES_BUCKET_SHIFT;
	unsigned bucket = rest ? 64u - (unsigned)__builtin_clzll(rest) : 0;

	return bucket < SCSI_FIGURES_BUCKETS ? bucket : SCSI_FIGURES_BUCKETS - 1;
}

void scsi_figures_started(struct scsi_command *command)
{
	struct scsi_lane *lane = command->nexus_lun->lane;

	if (lane == NULL)
		return;
	command->started_ns = rt_loop_now_ns(lane->worker->loop);
	scsi_figures_add(&lane->figures.started, 1);
	if (command->nexus->figures != NULL)
		scsi_figures_add(&command->nexus->figures->started, 1);
}

/* A command that has ended, as the figures of its unit and those of its nexus see it. */
struct end {
	enum scsi_figures_kind kind;
	unsigned bucket;
	uint64_t latency_ns, read_bytes, written_bytes;
};

static void count_end(struct scsi_lane_figures *figures, const struct end *end)
{
	scsi_figures_add(&figures->ended[end->kind], 1);
	scsi_figures_add(&figures->latency[end->bucket], 1);
	scsi_figures_add(&figures->latency_ns, end->latency_ns);
	if (end->read_bytes)
		scsi_figures_add(&figures->read_bytes, end->read_bytes);
	if (end->written_bytes)
		scsi_figures_add(&figures->written_bytes, end->written_bytes);
}

void scsi_figures_ended(const struct scsi_command *command)
{
	struct scsi_lane *lane = command->nexus_lun->lane;
	struct end end;

	if (lane == NULL || command->started_ns == 0)
		return;
	end.kind = kind_of(command->cdb[0]);
	end.latency_ns = rt_loop_now_ns(lane->worker->loop) - command->started_ns;
	end.bucket = bucket_of(end.latency_ns);
	end.read_bytes = end.kind == SCSI_FIGURES_READ ? command->data_in_length : 0;
	end.written_bytes =
	    end.kind == SCSI_FIGURES_WRITE && command->status == SCSI_GOOD ? command->data_out_length : 0;
	count_end(&lane->figures, &end);
	if (command->nexus->figures != NULL)
		count_end(command->nexus->figures, &end);
}

void scsi_figures_failed(const struct scsi_command *command, uint8_t sense_key)
{
	if (rt_worker_current() == NULL)
		return;
	sense_key %= SCSI_FIGURES_SENSE_KEYS;
	if (command->unit != NULL)
		scsi_figures_add(&scsi_lane_current(command->unit)->figures.errors[sense_key], 1);
	if (command->nexus != NULL && command->nexus->figures != NULL)
		scsi_figures_add(&command->nexus->figures->errors[sense_key], 1);
}

static uint64_t get(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

void scsi_figures_collect(const struct scsi_lane_figures *figures, struct scsi_figures *sum)
{
	/* What has ended first: what is counted meanwhile makes the depth too large rather than negative. */
	for (unsigned i = 0; i < SCSI_FIGURES_KINDS; i++)
		sum->ended[i] += get(&figures->ended[i]);
	sum->started += get(&figures->started);
	sum->read_bytes += get(&figures->read_bytes);
	sum->written_bytes += get(&figures->written_bytes);
	for (unsigned i = 0; i < SCSI_FIGURES_SENSE_KEYS; i++)
		sum->errors[i] += get(&figures->errors[i]);
	for (unsigned i = 0; i < SCSI_FIGURES_BUCKETS; i++)
		sum->latency[i] += get(&figures->latency[i]);
	sum->latency_ns += get(&figures->latency_ns);
}

void scsi_figures_sum(const struct scsi_figures *figures, struct scsi_figures *sum)
{
	for (unsigned i = 0; i < SCSI_FIGURES_KINDS; i++)
		sum->ended[i] += figures->ended[i];
	sum->started += figures->started;
	sum->read_bytes += figures->read_bytes;
	sum->written_bytes += figures->written_bytes;
	for (unsigned i = 0; i < SCSI_FIGURES_SENSE_KEYS; i++)
		sum->errors[i] += figures->errors[i];
	for (unsigned i = 0; i < SCSI_FIGURES_BUCKETS; i++)
		sum->latency[i] += figures->latency[i];
	sum->latency_ns += figures->latency_ns;
}

void scsi_logical_unit_add_figures(const struct scsi_logical_unit *unit, unsigned worker, struct scsi_figures *sum)
{
	if (worker < unit->lane_count)
		scsi_figures_collect(&unit->lanes[worker].figures, sum);
}

uint64_t scsi_figures_queue_depth(const struct scsi_figures *figures)
{
	uint64_t ended = 0;

	for (unsigned i = 0; i < SCSI_FIGURES_KINDS; i++)
		ended += figures->ended[i];
	return figures->started > ended ? figures->started - ended : 0;
}
