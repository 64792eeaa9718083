/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "iscsi/directory.h"

struct iscsi_directory *iscsi_directory_hold(struct iscsi_directory *directory)
{
	atomic_fetch_add_explicit(&directory->references, 1, memory_order_relaxed);
	return directory;
}

void iscsi_directory_drop(struct iscsi_directory *directory)
{
	if (directory && atomic_fetch_sub_explicit(&directory->references, 1, memory_order_acq_rel) == 1)
		directory->released(directory);
}

const struct iscsi_target *iscsi_directory_find_target(const struct iscsi_directory *directory, const char *name)
{
	size_t low = 0, high = directory->target_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, directory->targets[middle].name);

		if (order == 0)
			return &directory->targets[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct iscsi_target_port *iscsi_target_find_port(const struct iscsi_target *target, uint16_t tag)
{
	for (size_t i = 0; i < target->port_count; i++) {
		if (target->ports[i].tag == tag)
			return &target->ports[i];
	}
	return NULL;
}
