/* SPDX-License-Identifier: Apache-2.0 */
#include "target/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_PORT_ID 65535u

static int find_last_port_id(struct target_ledger *ledger, char error[static TARGET_ERROR_BYTES])
{
	for (size_t i = 0; i < ledger->ports.count; i++) {
		char *end;
		unsigned long id = strtoul(ledger->ports.entries[i].value, &end, 10);

		if (*end || id == 0 || id > LARGEST_PORT_ID) {
			snprintf(error, TARGET_ERROR_BYTES,
				 "%s/%s: \"%s\" is no target port id: restore the file from a backup",
				 ledger->folder.path, ledger->ports.name, ledger->ports.entries[i].value);
			return -EINVAL;
		}
		if (id > ledger->last_port_id)
			ledger->last_port_id = (uint32_t)id;
	}
	return 0;
}

int target_ledger_open(const char *state_dir, struct target_ledger *ledger, char error[static TARGET_ERROR_BYTES])
{
	const struct target_state_folder *folder;
	int status = 0;

	*ledger = (struct target_ledger){.folder = {.fd = -1, .lock_fd = -1}, .is_kept = *state_dir};
	if (ledger->is_kept)
		status = target_state_folder_open(state_dir, &ledger->folder, error);
	folder = ledger->is_kept ? &ledger->folder : NULL;
	if (!status)
		status = target_state_table_read(&ledger->serials, "serials", folder, error);
	if (!status)
		status = target_state_table_read(&ledger->ports, "ports", folder, error);
	if (!status)
		status = find_last_port_id(ledger, error);
	if (status)
		target_ledger_close(ledger);
	return status;
}

void target_ledger_close(struct target_ledger *ledger)
{
	target_state_table_free(&ledger->serials);
	target_state_table_free(&ledger->ports);
	target_state_folder_close(&ledger->folder);
}

void target_ledger_start_port_ids(struct target_ledger *ledger, uint32_t first)
{
	if (ledger->last_port_id < first - 1)
		ledger->last_port_id = first - 1;
}

void target_ledger_serial(struct target_ledger *ledger, const char *plugin, const char *canonical_path,
			  char serial[static TARGET_SERIAL_BYTES])
{
	char key[64 + TARGET_PATH_BYTES];
	const char *known;

	if (!ledger->is_kept) {
		target_serial_of_store(plugin, canonical_path, serial);
		return;
	}
	snprintf(key, sizeof(key), "%.62s:%s", plugin, canonical_path);
	known = target_state_table_find(&ledger->serials, key);
	if (known && strlen(known) < TARGET_SERIAL_BYTES) {
		memcpy(serial, known, strlen(known) + 1);
		return;
	}
	target_serial_random(serial);
	target_state_table_add(&ledger->serials, key, serial);
}

int target_ledger_port_id(struct target_ledger *ledger, const char *target, uint16_t tag, uint16_t *id)
{
	char key[ISCSI_NAME_BYTES + 16], value[8];
	const char *known;

	snprintf(key, sizeof(key), "%s,%u", target, tag);
	known = target_state_table_find(&ledger->ports, key);
	if (known) {
		*id = (uint16_t)strtoul(known, NULL, 10);
		return 0;
	}
	if (ledger->last_port_id >= LARGEST_PORT_ID)
		return -ENOSPC;
	*id = (uint16_t)++ledger->last_port_id;
	snprintf(value, sizeof(value), "%u", *id);
	target_state_table_add(&ledger->ports, key, value);
	return 0;
}

static void save_saved(struct rt_post *post)
{
	struct target_ledger_save *save = RT_CONTAINER_OF(post, struct target_ledger_save, reply);

	for (unsigned i = 0; i < 2; i++) {
		save->tables[i]->changed |= save->status && save->texts[i];
		free(save->texts[i]);
	}
	save->done(save);
}

static void save_on_pool(struct store_job *job)
{
	struct target_ledger_save *save = RT_CONTAINER_OF(job, struct target_ledger_save, job);

	for (unsigned i = 0; i < 2 && !save->status; i++)
		if (save->texts[i])
			save->status = target_state_write(save->folder, save->tables[i]->name, save->texts[i],
							  save->lengths[i], save->error);
	rt_loop_post(save->reply_to, &save->reply);
}

static void take_text(struct target_ledger_save *save, unsigned index, struct target_state_table *table)
{
	save->tables[index] = table;
	save->texts[index] = NULL;
	if (!table->changed)
		return;
	save->texts[index] = target_state_table_text(table, &save->lengths[index]);
	table->changed = !save->texts[index];
	if (table->changed) {
		save->status = -ENOMEM;
		snprintf(save->error, sizeof(save->error), "%s: out of memory", table->name);
	}
}

void target_ledger_save(struct target_ledger *ledger, struct target_ledger_save *save, struct rt_loop *reply_to)
{
	save->status = 0;
	save->folder = &ledger->folder;
	save->job.run = save_on_pool;
	save->reply.run = save_saved;
	save->reply_to = reply_to;
	take_text(save, 0, &ledger->serials);
	take_text(save, 1, &ledger->ports);
	if (ledger->is_kept && (save->texts[0] || save->texts[1]))
		store_pool_submit_control(&save->job);
	else
		rt_loop_post(reply_to, &save->reply);
}
