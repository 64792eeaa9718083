/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "config/keys.h"
#include "config/load.h"
#include "config/tree.h"

/* "iqn.2026-11.org.tgtkit:HOST", with what RFC 3722 does not allow in a name replaced. */
static const char *default_target_name(struct target_arena *arena)
{
	char host[65] = "";

	gethostname(host, sizeof(host) - 1);
	for (char *c = host; *c; c++)
		*c = (char)(isalnum((unsigned char)*c) || *c == '.' ? tolower((unsigned char)*c) : '-');
	return target_arena_printf(arena, "iqn.2026-11.org.tgtkit:%s", *host ? host : "localhost");
}

static void assign(const struct conf_table *table, const char *name, void *object, const char *text,
		   const struct spec_origin *origin, struct target_arena *arena, struct spec_problems *problems)
{
	char error[CONF_ERROR_BYTES];

	if (conf_assign(conf_table_find(table, name, strlen(name)), object, text, arena, error))
		spec_problem(problems, origin, NULL, "%s", error);
}

static void add_portals(const struct conf_command_line *line, struct target_configuration *configuration,
			struct spec_problems *problems)
{
	static const char *const nothing_given[] = {"127.0.0.1"};
	const char *const *listen = line->listen_count ? line->listen : nothing_given;
	size_t count = line->listen_count ? line->listen_count : 1;
	struct target_arena *arena = &configuration->arena;
	struct portal_group_spec *group = target_arena_zalloc(arena, sizeof(*group));

	conf_apply_defaults(&conf_portal_group_table, group, arena);
	group->origin.name = "--listen";
	group->tag = 1;
	group->portals = target_arena_array(arena, count, sizeof(*group->portals));
	group->portal_count = count;
	for (size_t i = 0; i < count; i++) {
		struct portal_spec *portal = &group->portals[i];

		portal->origin.name = "--listen";
		assign(&conf_portal_table, "listen", portal, listen[i], &portal->origin, arena, problems);
	}
	configuration->groups = group;
	configuration->group_count = 1;
}

static void add_luns(const struct conf_command_line *line, struct target_spec *target, struct target_arena *arena,
		     struct spec_problems *problems)
{
	target->luns = target_arena_array(arena, line->path_count, sizeof(*target->luns));
	target->lun_count = line->path_count;
	for (size_t i = 0; i < line->path_count; i++) {
		struct lun_spec *lun = &target->luns[i];

		conf_apply_defaults(&conf_lun_table, lun, arena);
		lun->origin.name = lun->options_origin.name = target_arena_printf(arena, "PATH %s", line->paths[i]);
		lun->lun = (uint16_t)i;
		assign(&conf_lun_table, "path", lun, line->paths[i], &lun->origin, arena, problems);
		if (i > SCSI_MAXIMUM_LUN)
			spec_problem(problems, &lun->origin, NULL, "a target has LUNs 0 to %u", SCSI_MAXIMUM_LUN);
	}
}

/* The same as a configuration file would say it. */
static const char *text_of(struct target_configuration *configuration)
{
	const struct portal_group_spec *group = &configuration->groups[0];
	const struct target_spec *target = &configuration->targets[0];
	config_setting_t *root, *element, *list;
	const char *text;
	config_t tree;

	config_init(&tree);
	root = config_root_setting(&tree);
	element = config_setting_add(conf_tree_list(root, "portal_groups"), NULL, CONFIG_TYPE_GROUP);
	config_setting_set_int(config_setting_add(element, "tag", CONFIG_TYPE_INT), group->tag);
	list = conf_tree_list(element, "portals");
	for (size_t i = 0; i < group->portal_count && group->portals[i].listen; i++)
		config_setting_set_string(config_setting_add(list, NULL, CONFIG_TYPE_STRING), group->portals[i].listen);
	element = config_setting_add(conf_tree_list(root, "targets"), NULL, CONFIG_TYPE_GROUP);
	config_setting_set_string(config_setting_add(element, "name", CONFIG_TYPE_STRING),
				  target->name ? target->name : "");
	list = conf_tree_list(element, "luns");
	for (size_t i = 0; i < target->lun_count && target->luns[i].path; i++) {
		element = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
		config_setting_set_int(config_setting_add(element, "lun", CONFIG_TYPE_INT), target->luns[i].lun);
		config_setting_set_string(config_setting_add(element, "path", CONFIG_TYPE_STRING),
					  target->luns[i].path);
	}
	text = conf_tree_text(&tree, &configuration->arena);
	config_destroy(&tree);
	return text;
}

void conf_from_command_line(const struct conf_command_line *line, struct target_configuration *configuration,
			    struct spec_problems *problems)
{
	struct target_arena *arena = &configuration->arena;
	struct target_spec *target = target_arena_zalloc(arena, sizeof(*target));

	add_portals(line, configuration, problems);
	conf_apply_defaults(&conf_target_table, target, arena);
	target->origin.name = target->parameters_origin.name = "--target";
	assign(&conf_target_table, "name", target, line->target ? line->target : default_target_name(arena),
	       &target->origin, arena, problems);
	add_luns(line, target, arena, problems);
	configuration->targets = target;
	configuration->target_count = 1;
	configuration->text = text_of(configuration);
	configuration->daemon.state_dir = "";
	configuration->daemon.api.socket = "";
}
