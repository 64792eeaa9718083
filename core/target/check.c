/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "target/check.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "rt/memory.h"
#include "scsi/lun_map.h"
#include "target/address.h"

#define PLACE_BYTES 512

static unsigned usable_cpus(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
}

static void check_daemon(const struct daemon_spec *daemon, struct spec_problems *problems)
{
	unsigned workers = daemon->workers ? daemon->workers : usable_cpus();

	if (daemon->memory_limit_bytes / workers < RT_MEMORY_MINIMUM_BYTES)
		spec_problem(
		    problems, &daemon->origin, "memory_limit",
		    "%llu bytes are too little for %u workers, which need %u each: raise it or set workers lower",
		    (unsigned long long)daemon->memory_limit_bytes, workers, RT_MEMORY_MINIMUM_BYTES);
}

/* A portal's address, and that no portal before it (of this group or an earlier one) has the same. */
static void check_portal(struct target_configuration *configuration, size_t group, size_t portal,
			 struct spec_problems *problems)
{
	struct portal_spec *self = &configuration->groups[group].portals[portal];
	char place[PLACE_BYTES];

	/* The text has been checked where it was read. */
	target_address_parse(self->listen, &self->address);
	for (size_t i = 0; i <= group; i++)
		for (size_t k = 0; k < (i < group ? configuration->groups[i].portal_count : portal); k++) {
			const struct portal_spec *other = &configuration->groups[i].portals[k];

			if (!target_address_equal(&other->address, &self->address))
				continue;
			spec_origin_format(&other->origin, place, sizeof(place));
			spec_problem(problems, &self->origin, "listen", "portal %s is given twice, first at %s",
				     self->listen, place);
		}
}

static void check_groups(struct target_configuration *configuration, struct spec_problems *problems)
{
	char place[PLACE_BYTES];

	for (size_t i = 0; i < configuration->group_count; i++) {
		struct portal_group_spec *group = &configuration->groups[i];

		for (size_t k = 0; k < i; k++) {
			if (configuration->groups[k].tag != group->tag)
				continue;
			spec_origin_format(&configuration->groups[k].origin, place, sizeof(place));
			spec_problem(problems, &group->origin, "tag", "portal group %u is given twice, first at %s",
				     group->tag, place);
		}
		if (group->portal_count == 0)
			spec_problem(problems, &group->origin, "portals", "portal group %u has no portal", group->tag);
		for (size_t k = 0; k < group->portal_count; k++)
			check_portal(configuration, i, k, problems);
	}
}

static bool has_group(const struct target_configuration *configuration, uint16_t tag)
{
	for (size_t i = 0; i < configuration->group_count; i++)
		if (configuration->groups[i].tag == tag)
			return true;
	return false;
}

static void check_target_groups(struct target_configuration *configuration, struct target_spec *target,
				struct spec_problems *problems)
{
	static const uint16_t default_tag = 1;

	if (target->group_tag_count == 0) {
		target->group_tags = &default_tag;
		target->group_tag_count = 1;
	}
	for (size_t i = 0; i < target->group_tag_count; i++) {
		if (!has_group(configuration, target->group_tags[i]))
			spec_problem(problems, &target->origin, "portal_groups", "there is no portal group %u",
				     target->group_tags[i]);
		for (size_t k = 0; k < i; k++)
			if (target->group_tags[k] == target->group_tags[i])
				spec_problem(problems, &target->origin, "portal_groups",
					     "portal group %u is given twice", target->group_tags[i]);
	}
}

static bool is_power_of_two(uint32_t value)
{
	return value && !(value & (value - 1));
}

/* `first` has of each number the LUN that had it first. */
static void check_lun(const struct target_spec *target, const struct lun_spec *lun,
		      const struct lun_spec *first[static SCSI_MAXIMUM_LUN + 1], struct spec_problems *problems)
{
	char place[PLACE_BYTES];

	if (first[lun->lun]) {
		spec_origin_format(&first[lun->lun]->origin, place, sizeof(place));
		spec_problem(problems, &lun->origin, "lun", "LUN %u of target %s is given twice, first at %s", lun->lun,
			     target->name, place);
	} else {
		first[lun->lun] = lun;
	}
	if (lun->block_size != 512 && lun->block_size != 4096)
		spec_problem(problems, &lun->origin, "block_size", "%u: must be 512 or 4096", lun->block_size);
	if (lun->physical_block_size &&
	    (!is_power_of_two(lun->physical_block_size) || lun->physical_block_size < lun->block_size))
		spec_problem(problems, &lun->origin, "physical_block_size",
			     "%u: must be a power of two and not less than block_size", lun->physical_block_size);
	if (lun->create && lun->size_bytes == 0)
		spec_problem(problems, &lun->origin, "create", "needs size: how large shall the store be?");
	if (lun->create && lun->size_bytes % lun->block_size)
		spec_problem(problems, &lun->origin, "size", "%llu is no multiple of block_size",
			     (unsigned long long)lun->size_bytes);
	if (lun->create && lun->read_only)
		spec_problem(problems, &lun->origin, "create", "a read-only LUN cannot create its store");
}

static void check_luns(const struct target_spec *target, struct spec_problems *problems)
{
	struct target_arena arena = {0};
	const struct lun_spec **first =
	    target_arena_array(&arena, SCSI_MAXIMUM_LUN + 1, sizeof(const struct lun_spec *));

	for (size_t i = 0; i < target->lun_count; i++)
		check_lun(target, &target->luns[i], first, problems);
	target_arena_free(&arena);
}

static void check_target(struct target_configuration *configuration, size_t index, struct spec_problems *problems)
{
	struct target_spec *target = &configuration->targets[index];
	const struct iscsi_target_parameters *parameters = &target->parameters;
	char place[PLACE_BYTES];

	/* RFC 7143 4.2.7.1: names compare after normalisation to lower case. */
	for (size_t i = 0; i < index; i++) {
		if (strcasecmp(configuration->targets[i].name, target->name))
			continue;
		spec_origin_format(&configuration->targets[i].origin, place, sizeof(place));
		spec_problem(problems, &target->origin, "name", "target %s is given twice, first at %s", target->name,
			     place);
	}
	if (parameters->first_burst_length > parameters->max_burst_length)
		spec_problem(problems, &target->parameters_origin, "first_burst_length",
			     "%u is more than max_burst_length (%u)", parameters->first_burst_length,
			     parameters->max_burst_length);
	check_target_groups(configuration, target, problems);
	check_luns(target, problems);
	snprintf(place, sizeof(place), "target %s", target->name);
	target_check_authentication(&target->authentication, place, &configuration->arena, problems);
	target_check_access(target, problems);
}

void target_check(struct target_configuration *configuration, struct spec_problems *problems)
{
	check_daemon(&configuration->daemon, problems);
	check_groups(configuration, problems);
	target_check_authentication(&configuration->discovery.authentication, "discovery", &configuration->arena,
				    problems);
	for (size_t i = 0; i < configuration->target_count; i++)
		check_target(configuration, i, problems);
	target_check_units(configuration, problems);
}
