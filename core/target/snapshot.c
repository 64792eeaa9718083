/* SPDX-License-Identifier: Apache-2.0 */
#include "target/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/address.h"
#include "target/snapshot_private.h"

/* The directory lies in its own arena. */
struct snapshot {
	struct iscsi_directory directory;
	struct target_arena arena;
};

static void snapshot_free(struct snapshot *snapshot)
{
	struct target_arena arena = snapshot->arena;

	for (size_t i = 0; i < snapshot->directory.target_count; i++)
		snapshot_drop_maps(&snapshot->directory.targets[i]);
	target_arena_free(&arena);
}

static void snapshot_released(struct iscsi_directory *directory)
{
	snapshot_free(RT_CONTAINER_OF(directory, struct snapshot, directory));
}

static int compare_luns(const void *a, const void *b)
{
	const struct scsi_lun_mapping *first = a, *second = b;

	return (int)first->lun - (int)second->lun;
}

static struct scsi_lun_map *make_lun_map(struct target_arena *arena, const struct target_configuration *configuration,
					 const struct target_spec *target, struct target_unit *const *units)
{
	struct scsi_lun_mapping *mappings = target_arena_array(arena, target->lun_count, sizeof(*mappings));
	struct target_unit **mapped = target_arena_array(arena, target->lun_count, sizeof(struct target_unit *));

	for (size_t i = 0; i < target->lun_count; i++) {
		const struct lun_spec *lun = &target->luns[i];

		mapped[i] = units[lun->unit - configuration->units];
		mappings[i] = (struct scsi_lun_mapping){
		    .lun = lun->lun,
		    .read_only = lun->read_only,
		    .unit = mapped[i]->logical_unit,
		};
	}
	qsort(mappings, target->lun_count, sizeof(*mappings), compare_luns);
	return target_unit_map_create(mappings, mapped, target->lun_count);
}

static int make_ports(struct target_arena *arena, const struct target_spec *spec, struct target_ledger *ledger,
		      struct iscsi_target *target, char error[static TARGET_ERROR_BYTES])
{
	struct iscsi_target_port *ports = target_arena_array(arena, spec->group_tag_count, sizeof(*ports));

	for (size_t i = 0; i < spec->group_tag_count; i++) {
		ports[i].tag = spec->group_tags[i];
		if (target_ledger_port_id(ledger, spec->name, ports[i].tag, &ports[i].relative_target_port_id)) {
			snprintf(error, TARGET_ERROR_BYTES,
				 "target %s: all 65535 relative target port ids have been given", spec->name);
			return -ENOSPC;
		}
	}
	target->ports = ports;
	target->port_count = spec->group_tag_count;
	return 0;
}

static int compare_targets(const void *a, const void *b)
{
	return strcmp(((const struct iscsi_target *)a)->name, ((const struct iscsi_target *)b)->name);
}

static int add_targets(struct snapshot *snapshot, const struct target_configuration *configuration,
		       struct target_unit *const *units, struct target_ledger *ledger,
		       char error[static TARGET_ERROR_BYTES])
{
	struct target_arena *arena = &snapshot->arena;
	struct iscsi_target *targets = target_arena_array(arena, configuration->target_count, sizeof(*targets));

	snapshot->directory.targets = targets;
	for (size_t i = 0; i < configuration->target_count; i++) {
		const struct target_spec *spec = &configuration->targets[i];
		struct iscsi_target *target = &targets[i];
		int status = make_ports(arena, spec, ledger, target, error);

		if (status)
			return status;
		target->name = target_arena_strdup(arena, spec->name);
		target->alias = target_arena_strdup(arena, spec->alias);
		target->parameters = spec->parameters;
		target->lun_map = make_lun_map(arena, configuration, spec, units);
		snapshot->directory.target_count++;
		snapshot_copy_authentication(arena, &spec->authentication, &target->authentication);
		if (!target->lun_map || snapshot_copy_rules(arena, spec, target)) {
			snprintf(error, TARGET_ERROR_BYTES, "target %s: out of memory", spec->name);
			return -ENOMEM;
		}
	}
	qsort(targets, configuration->target_count, sizeof(*targets), compare_targets);
	return 0;
}

static const char *advertised(struct target_arena *arena, const char *text)
{
	char normal[300];

	return text && !target_advertised_parse(text, normal, sizeof(normal)) ? target_arena_strdup(arena, normal)
									      : NULL;
}

static int compare_groups(const void *a, const void *b)
{
	return (int)((const struct iscsi_portal_group *)a)->tag - (int)((const struct iscsi_portal_group *)b)->tag;
}

static void add_groups(struct snapshot *snapshot, const struct target_configuration *configuration)
{
	struct target_arena *arena = &snapshot->arena;
	struct iscsi_portal_group *groups = target_arena_array(arena, configuration->group_count, sizeof(*groups));

	for (size_t i = 0; i < configuration->group_count; i++) {
		const struct portal_group_spec *spec = &configuration->groups[i];
		struct iscsi_portal *portals = target_arena_array(arena, spec->portal_count, sizeof(*portals));

		for (size_t k = 0; k < spec->portal_count; k++) {
			portals[k].address = spec->portals[k].address;
			portals[k].advertise = advertised(arena, spec->portals[k].advertise);
		}
		groups[i] = (struct iscsi_portal_group){
		    .tag = spec->tag,
		    .portals = portals,
		    .portal_count = spec->portal_count,
		};
	}
	qsort(groups, configuration->group_count, sizeof(*groups), compare_groups);
	snapshot->directory.groups = groups;
	snapshot->directory.group_count = configuration->group_count;
}

int target_snapshot_create(const struct target_configuration *configuration, struct target_unit *const *units,
			   struct target_ledger *ledger, struct iscsi_directory **directory,
			   char error[static TARGET_ERROR_BYTES])
{
	struct target_arena arena = {0};
	struct snapshot *snapshot = target_arena_zalloc(&arena, sizeof(*snapshot));
	int status;

	snapshot->arena = arena;
	atomic_init(&snapshot->directory.references, 1);
	snapshot->directory.released = snapshot_released;
	status = add_targets(snapshot, configuration, units, ledger, error);
	if (status) {
		snapshot_free(snapshot);
		return status;
	}
	add_groups(snapshot, configuration);
	snapshot_copy_authentication(&snapshot->arena, &configuration->discovery.authentication,
				     &snapshot->directory.discovery_authentication);
	*directory = &snapshot->directory;
	return 0;
}
