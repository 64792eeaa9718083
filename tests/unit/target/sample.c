/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/target/sample.h"

#include <stdio.h>
#include <string.h>

#define ROOM 8u

char sample_problems[8192];

static void report(void *context, const char *line)
{
	size_t used = strlen(sample_problems);

	(void)context;
	snprintf(sample_problems + used, sizeof(sample_problems) - used, "%s\n", line);
}

struct spec_problems sample_problem_sink = {.report = report};

void sample_init(struct target_configuration *configuration)
{
	sample_problems[0] = '\0';
	sample_problem_sink.count = 0;
	*configuration = (struct target_configuration){
	    .references = 1, /* it is not on the heap: the last one never goes */
	    .daemon =
		{
		    .origin = {.file = "f", .line = 1, .name = "daemon"},
		    .workers = 1,
		    .memory_limit_bytes = 64u << 20,
		    .state_dir = "",
		    .open_timeout_s = 10,
		    .shutdown_timeout_s = 5,
		    .max_connections = 100,
		    .first_port_id = 1,
		},
	};
	configuration->groups = target_arena_array(&configuration->arena, ROOM, sizeof(*configuration->groups));
	configuration->targets = target_arena_array(&configuration->arena, ROOM, sizeof(*configuration->targets));
	sample_add_group(configuration, 1, "127.0.0.1:3260", NULL);
}

struct portal_group_spec *sample_add_group(struct target_configuration *configuration, uint16_t tag,
					   const char *first_portal, const char *second_portal)
{
	struct portal_group_spec *group = &configuration->groups[configuration->group_count++];
	const struct spec_origin origin = {.file = "f", .line = 10 * tag, .name = "portal_groups"};

	group->origin = origin;
	group->tag = tag;
	group->portals = target_arena_array(&configuration->arena, 2, sizeof(*group->portals));
	group->portal_count = (first_portal != NULL) + (second_portal != NULL);
	group->portals[0] = (struct portal_spec){.origin = origin, .listen = first_portal};
	group->portals[1] = (struct portal_spec){.origin = origin, .listen = second_portal};
	return group;
}

struct target_spec *sample_add_target(struct target_configuration *configuration, const char *name)
{
	struct target_spec *target = &configuration->targets[configuration->target_count++];

	target->origin = (struct spec_origin){
	    .file = "f",
	    .line = 100 * (unsigned)configuration->target_count,
	    .name = "target",
	};
	target->parameters_origin = target->origin;
	target->parameters_origin.name = "parameters";
	target->name = target_arena_printf(&configuration->arena, "iqn.2026-11.org.example:%s", name);
	target->alias = "";
	target->parameters.max_burst_length = target->parameters.first_burst_length = 65536;
	target->luns = target_arena_array(&configuration->arena, ROOM, sizeof(*target->luns));
	return target;
}

void sample_give(struct target_configuration *configuration, struct spec_origin *origin, const char *key)
{
	struct spec_key_line *keys = target_arena_array(&configuration->arena, origin->key_count + 1, sizeof(*keys));

	if (origin->key_count)
		memcpy(keys, origin->keys, origin->key_count * sizeof(*keys));
	keys[origin->key_count++] = (struct spec_key_line){key, origin->file, origin->line};
	origin->keys = keys;
}

struct lun_spec *sample_add_lun(struct target_configuration *configuration, struct target_spec *target, uint16_t lun,
				const char *path)
{
	struct lun_spec *spec = &target->luns[target->lun_count++];

	*spec = (struct lun_spec){
	    .origin = {.file = "f", .line = target->origin.line + (unsigned)target->lun_count, .name = "lun"},
	    .lun = lun,
	    .path = path,
	    .backend = "",
	    .block_size = 512,
	    .serial = "",
	    .vendor = "",
	    .product = "",
	    .thin = true,
	    .write_cache = true,
	    .online = true,
	};
	spec->options_origin = spec->origin;
	spec->options_origin.name = "options";
	sample_give(configuration, &spec->origin, "lun");
	sample_give(configuration, &spec->origin, "path");
	return spec;
}
