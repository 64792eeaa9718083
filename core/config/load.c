/* SPDX-License-Identifier: Apache-2.0 */
#include "config/load.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/readers.h"
#include "target/address.h"

void conf_init(struct target_configuration *configuration)
{
	memset(configuration, 0, sizeof(*configuration));
	conf_apply_defaults(&conf_file_table, configuration, &configuration->arena);
	configuration->daemon.origin.name = "daemon";
}

static bool is_readable_file(const char *file, const struct spec_origin *origin, struct spec_problems *problems)
{
	struct stat status;

	if (stat(file, &status) || access(file, R_OK))
		spec_problem(problems, origin, NULL, "cannot be read: %s", strerror(errno));
	else if (S_ISDIR(status.st_mode))
		spec_problem(problems, origin, NULL, "is a folder; a configuration file is needed");
	else
		return true;
	return false;
}

/* Group 1 on every address, as no portal group at all was given. */
static void add_default_group(struct target_configuration *configuration)
{
	static const char *const listen[] = {"[::]:" TARGET_DEFAULT_PORT, "0.0.0.0:" TARGET_DEFAULT_PORT};
	struct target_arena *arena = &configuration->arena;
	struct portal_group_spec *group = target_arena_zalloc(arena, sizeof(*group));

	group->origin.name = "the default portal group";
	group->tag = 1;
	group->portal_count = sizeof(listen) / sizeof(*listen);
	group->portals = target_arena_array(arena, group->portal_count, sizeof(*group->portals));
	for (size_t i = 0; i < group->portal_count; i++) {
		group->portals[i].origin.name = group->origin.name;
		group->portals[i].listen = listen[i];
	}
	configuration->groups = group;
	configuration->group_count = 1;
}

static void report_syntax(struct conf_reader *reader, const config_t *parsed)
{
	const char *file = conf_file_name(reader, config_error_file(parsed));
	const struct spec_origin place = {
	    .file = file ? file : reader->file,
	    .line = (unsigned)config_error_line(parsed),
	    .name = "",
	};

	spec_problem(reader->problems, &place, NULL, "%s", config_error_text(parsed));
}

void conf_read_file(const char *file, struct target_configuration *configuration, struct spec_problems *problems)
{
	struct conf_reader reader = {
	    .arena = &configuration->arena,
	    .problems = problems,
	    .file = file,
	    .include_dir = dirname(target_arena_strdup(&configuration->arena, file)),
	};
	const struct spec_origin whole = {.name = file};
	struct spec_origin root;
	config_t parsed;

	if (!is_readable_file(file, &whole, problems))
		return;
	config_init(&parsed);
	config_set_include_dir(&parsed, reader.include_dir);
	if (config_read_file(&parsed, file)) {
		conf_read_group(&reader, &conf_file_table, config_root_setting(&parsed), configuration, &root);
		if (!spec_origin_find(&root, "portal_groups"))
			add_default_group(configuration);
	} else {
		report_syntax(&reader, &parsed);
	}
	config_destroy(&parsed);
}

void conf_set(const char *setting, struct target_configuration *configuration, struct spec_problems *problems)
{
	static const char group[] = "daemon.";
	const struct spec_origin origin = {.name = "--set"};
	const char *equals = strchr(setting, '=');
	const struct conf_key *key = NULL;
	char error[CONF_ERROR_BYTES];

	if (!equals) {
		spec_problem(problems, &origin, setting, "must be KEY=VALUE, for example daemon.workers=2");
		return;
	}
	if (!strncmp(setting, group, strlen(group)))
		key = conf_table_find(&conf_daemon_table, setting + strlen(group),
				      (size_t)(equals - setting) - strlen(group));
	if (!key)
		spec_problem(problems, &origin, setting,
			     "unknown key; --set knows the keys of the daemon group "
			     "(daemon.workers, daemon.log_level, ...)");
	else if (conf_assign(key, &configuration->daemon, equals + 1, &configuration->arena, error))
		spec_problem(problems, &origin, setting, "%s", error);
}
