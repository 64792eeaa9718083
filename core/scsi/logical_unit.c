/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/logical_unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "rt/log.h"
#include "scsi/device_server.h"
#include "scsi/reservations.h"
#include "scsi/vpd.h"

static bool is_printable(const char *text, size_t least, size_t most)
{
	size_t length = text != NULL ? strlen(text) : 0;

	for (size_t i = 0; i < length; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return length >= least && length <= most;
}

static int check_spec(const struct scsi_logical_unit_spec *spec)
{
	bool ok = (spec->logical_block_bytes == 512 || spec->logical_block_bytes == 4096) &&
		  (spec->physical_block_bytes == 0 || (rt_is_power_of_two(spec->physical_block_bytes) &&
						       spec->physical_block_bytes >= spec->logical_block_bytes)) &&
		  is_printable(spec->serial, 1, SCSI_SERIAL_BYTES) &&
		  is_printable(spec->vendor, 0, SCSI_VENDOR_BYTES) &&
		  is_printable(spec->product, 0, SCSI_PRODUCT_BYTES) &&
		  store_size_bytes(spec->store) >= spec->logical_block_bytes;

	return ok ? 0 : -EINVAL;
}

static const char *or_default(const char *text, const char *otherwise)
{
	return text != NULL && text[0] != '\0' ? text : otherwise;
}

static void take_geometry(struct scsi_logical_unit *unit, const struct scsi_logical_unit_spec *spec)
{
	uint32_t physical = spec->physical_block_bytes;

	if (physical == 0)
		physical = unit->capabilities->physical_block_bytes;
	if (physical < spec->logical_block_bytes || !rt_is_power_of_two(physical))
		physical = spec->logical_block_bytes;
	unit->block_bytes = spec->logical_block_bytes;
	unit->block_shift = (uint32_t)__builtin_ctz(unit->block_bytes);
	unit->physical_exponent = (uint32_t)__builtin_ctz(physical / unit->block_bytes);
	atomic_init(&unit->blocks, store_size_bytes(unit->store) >> unit->block_shift);
	unit->maximum_transfer_bytes = spec->maximum_transfer_bytes;
	if (unit->maximum_transfer_bytes == 0)
		unit->maximum_transfer_bytes = rt_memory_largest_transfer(rt_memory_limit(rt_worker_get(0)->memory));
}

static void take_features(struct scsi_logical_unit *unit, const struct scsi_logical_unit_spec *spec)
{
	uint32_t can = unit->capabilities->flags;
	bool read_only = spec->read_only || (can & TGTKIT_READ_ONLY) != 0;

	unit->removable = spec->removable;
	unit->default_write_cache = spec->write_cache;
	atomic_init(&unit->write_cache, spec->write_cache);
	/* What is read-only unmaps nothing, but may well have unmapped blocks. */
	unit->provisions = spec->thin && spec->unmap && (read_only || (can & TGTKIT_CAN_DISCARD) != 0);
	unit->unmap_reads_zero = (can & TGTKIT_DISCARD_READS_ZERO) != 0;
	unit->persistent_reservations = spec->persistent_reservations;
	unit->compare_and_write = spec->compare_and_write;
	unit->orwrite = spec->orwrite;
	unit->extended_copy = spec->extended_copy;
	if (read_only)
		atomic_init(&unit->access, SCSI_ACCESS_READ_ONLY);
}

static int take_reservations(struct scsi_logical_unit *unit, const struct scsi_logical_unit_spec *spec)
{
	unit->save_reservations = spec->save_reservations;
	unit->save_context = spec->save_context;
	if (spec->saved_reservations != NULL)
		unit->reservations = scsi_reservations_from_text(spec->saved_reservations);
	else
		unit->reservations = calloc(1, sizeof(*unit->reservations));
	if (unit->reservations == NULL)
		return spec->saved_reservations != NULL ? -EBADMSG : -ENOMEM;
	return 0;
}

int scsi_logical_unit_create(const struct scsi_logical_unit_spec *spec, struct scsi_logical_unit **out)
{
	unsigned lanes = rt_workers_count();
	struct scsi_logical_unit *unit;
	int status = check_spec(spec);

	if (status != 0)
		return status;
	unit = calloc(1, sizeof(*unit) + lanes * sizeof(unit->lanes[0]));
	if (unit == NULL)
		return -ENOMEM;
	unit->name = strdup(spec->name);
	if (unit->name == NULL) {
		free(unit);
		return -ENOMEM;
	}
	status = take_reservations(unit, spec);
	if (status != 0) {
		free(unit->name);
		free(unit);
		return status;
	}
	scsi_operations_init();
	unit->store = spec->store;
	unit->capabilities = store_capabilities(spec->store);
	unit->command_timeout_ns = spec->command_timeout_us * 1000;
	unit->task_management_timeout_us = spec->task_management_timeout_us;
	strcpy(unit->serial, spec->serial);
	strcpy(unit->vendor, or_default(spec->vendor, SCSI_DEFAULT_VENDOR));
	strcpy(unit->product, or_default(spec->product, SCSI_DEFAULT_PRODUCT));
	take_geometry(unit, spec);
	take_features(unit, spec);
	pthread_mutex_init(&unit->mutex, NULL);
	rt_list_init(&unit->attached);
	rt_list_init(&unit->range_locks.held);
	rt_list_init(&unit->range_locks.queue);
	rt_list_init(&unit->configuration_locks.held);
	rt_list_init(&unit->configuration_locks.queue);
	unit->lane_count = lanes;
	for (unsigned i = 0; i < lanes; i++)
		scsi_lane_init(&unit->lanes[i], unit, rt_worker_get(i));
	*out = unit;
	return 0;
}

void scsi_logical_unit_free(struct scsi_logical_unit *unit)
{
	pthread_mutex_destroy(&unit->mutex);
	scsi_port_groups_free(&unit->port_groups);
	free(unit->reservations);
	free(unit->name);
	free(unit);
}

void scsi_logical_unit_destroy(struct scsi_logical_unit *unit)
{
	bool free_now;

	pthread_mutex_lock(&unit->mutex);
	unit->destroyed = true;
	free_now = unit->kicks_posted == 0;
	pthread_mutex_unlock(&unit->mutex);
	if (free_now)
		scsi_logical_unit_free(unit);
}

const char *scsi_logical_unit_name(const struct scsi_logical_unit *unit)
{
	return unit->name;
}

const char *scsi_logical_unit_serial(const struct scsi_logical_unit *unit)
{
	return unit->serial;
}

struct store *scsi_logical_unit_store(const struct scsi_logical_unit *unit)
{
	return unit->store;
}

uint64_t scsi_logical_unit_blocks(const struct scsi_logical_unit *unit)
{
	return atomic_load_explicit(&unit->blocks, memory_order_relaxed);
}

static void tell_capacity_changed(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	scsi_unit_attention_raise_lane(lane, SCSI_UA_CAPACITY_CHANGED, NULL);
}

void scsi_logical_unit_capacity_changed(struct scsi_logical_unit *unit)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct scsi_visit *visit = scsi_visit_create(unit, NULL);

	atomic_store(&unit->blocks, store_size_bytes(unit->store) >> unit->block_shift);
	if (visit == NULL) {
		rt_log_limited_about(&limit, RT_ABOUT(.unit = unit->name), RT_LOG_ERROR,
				     "%s: no memory to tell initiators of the new capacity; have them rescan",
				     unit->name);
		return;
	}
	visit->arrive = tell_capacity_changed;
	scsi_visit_start(visit);
}

void scsi_logical_unit_set_available(struct scsi_logical_unit *unit, bool available)
{
	if (available)
		scsi_unit_clear_access(unit, SCSI_ACCESS_UNAVAILABLE);
	else
		scsi_unit_set_access(unit, SCSI_ACCESS_UNAVAILABLE);
}
