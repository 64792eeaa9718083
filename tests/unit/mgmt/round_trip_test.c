/* SPDX-License-Identifier: Apache-2.0
 *
 * Random whole configurations, of the administrator and of the API, over every key that there is: what the daemon shows
 * of them as a file, and as JSON, says the same when it is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/differ.h"
#include "config/effective.h"
#include "config/load.h"
#include "config/state.h"
#include "config/tree.h"
#include "mgmt/compare.h"
#include "mgmt/convert.h"
#include "unit/config/random_tree.h"
#include "unit/runner.h"

#define RUNS 60u

/* ---- Loading ---------------------------------------------------------------------------------------------------- */

static void refuse(void *context, const char *line)
{
	ck_abort_msg("%s\nin\n%s", line, (const char *)context);
}

static void ignore(void *context, const char *line)
{
	(void)context;
	(void)line;
}

/* None of its options is a secret. */
static const struct tgtkit_option no_options[] = {{.key = NULL}};
static const struct tgtkit_plugin descriptor = {.name = "any", .options = no_options};
static const struct store_plugin plugin = {.descriptor = &descriptor};
static struct unit_spec unit = {.name = "any:", .plugin = &plugin};

static void set_units(struct target_configuration *configuration)
{
	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].lun_count; k++)
			configuration->targets[i].luns[k].unit = &unit;
}

static void read_file(const char *text, struct target_configuration *configuration)
{
	struct spec_problems problems = {.report = refuse, .context = (void *)text};
	char file[] = "/tmp/tgtkit-round-trip-XXXXXX";
	int fd = mkstemp(file);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	conf_read_file(file, configuration, &problems);
	unlink(file);
}

/* As the daemon does it at its start. */
static struct target_configuration *load(const char *file_text, const char *made_text)
{
	struct spec_problems problems = {.report = refuse, .context = (void *)made_text}, shadows = {.report = ignore};
	struct target_configuration *base = target_configuration_new(), *own = target_configuration_new();

	conf_init(base);
	read_file(file_text, base);
	conf_init(own);
	conf_read_text("state.conf", made_text, own, &problems);
	target_configuration_merge(own, base, &shadows);
	target_configuration_drop(base);
	set_units(own);
	return own;
}

static char *shown(const struct target_configuration *configuration, config_t *tree)
{
	config_init(tree);
	ck_assert_int_eq(conf_effective(configuration, tree), 0);
	return conf_tree_text(tree, NULL);
}

/* ---- Sameness --------------------------------------------------------------------------------------------------- */

static bool same_scalar(const config_setting_t *a, const config_setting_t *b)
{
	switch (config_setting_type(a)) {
	case CONFIG_TYPE_STRING:
		return !strcmp(config_setting_get_string(a), config_setting_get_string(b));
	case CONFIG_TYPE_FLOAT:
		return config_setting_get_float(a) == config_setting_get_float(b);
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(a) == config_setting_get_bool(b);
	default:
		return config_setting_get_int64(a) == config_setting_get_int64(b);
	}
}

static bool same_setting(const config_setting_t *a, const config_setting_t *b)
{
	const char *name = config_setting_name(a), *other = config_setting_name(b);

	if (config_setting_type(a) != config_setting_type(b) || !name != !other || (name && strcmp(name, other)))
		return false;
	if (!config_setting_is_aggregate(a))
		return same_scalar(a, b);
	if (config_setting_length(a) != config_setting_length(b))
		return false;
	for (int i = 0; i < config_setting_length(a); i++)
		if (!same_setting(config_setting_get_elem(a, (unsigned)i), config_setting_get_elem(b, (unsigned)i)))
			return false;
	return true;
}

static bool has_element(const config_setting_t *list, const config_setting_t *element)
{
	for (int i = 0; list && i < config_setting_length(list); i++)
		if (same_setting(config_setting_get_elem(list, (unsigned)i), element))
			return true;
	return false;
}

/* Everything that was given, but for the daemon group, stands in what is shown. */
static void assert_all_is_there(const config_t *given, const config_t *whole, const char *text)
{
	static const char *const lists[] = {"portal_groups", "targets"};

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		const config_setting_t *list = config_lookup(given, lists[i]);

		for (int k = 0; list && k < config_setting_length(list); k++)
			ck_assert_msg(
			    has_element(config_lookup(whole, lists[i]), config_setting_get_elem(list, (unsigned)k)),
			    "%s[%d] is not shown as it was given:\n%s", lists[i], k, text);
	}
}

static void assert_discovery(const config_t *file, const config_t *made, const config_t *whole, const char *text)
{
	const config_setting_t *wanted = config_lookup(made, "discovery"), *found = config_lookup(whole, "discovery");

	wanted = wanted ? wanted : config_lookup(file, "discovery");
	ck_assert_msg(!wanted == !found && (!wanted || same_setting(wanted, found)),
		      "discovery is not shown as it was given:\n%s", text);
}

static void differs(void *context, const struct conf_key *key)
{
	ck_abort_msg("daemon.%s is not what it was:\n%s", key->name, (const char *)context);
}

static void assert_same(const struct target_configuration *a, const struct target_configuration *b, const char *text)
{
	json_t *results = mgmt_compare(a, b, NULL, 0);
	char *difference = json_dumps(results, 0);

	ck_assert_msg(json_array_size(results) == 0, "%s differs:\n%s", difference, text);
	free(difference);
	json_decref(results);
	conf_find_differences(&conf_daemon_table, &a->daemon, &b->daemon, differs, (void *)text);
	ck_assert_uint_eq(a->daemon.api.mode, b->daemon.api.mode);
}

/* ---- The trips -------------------------------------------------------------------------------------------------- */

static void assert_file_is_the_same(const struct target_configuration *before, const char *text)
{
	struct target_configuration *after = load(text, "");
	config_t tree;
	char *again = shown(after, &tree);

	assert_same(before, after, text);
	ck_assert_str_eq(again, text);
	free(again);
	config_destroy(&tree);
	target_configuration_drop(after);
}

/* From what the API shows back to a file. */
static void assert_json_is_the_same(const struct target_configuration *before, const config_t *tree)
{
	json_t *whole = mgmt_setting_to_json(config_root_setting(tree)), *value, *again;
	char error[MGMT_CONVERT_ERROR_BYTES] = "", *text;
	struct target_configuration *after;
	config_t back;
	const char *key;

	config_init(&back);
	json_object_foreach(whole, key, value)
	    ck_assert_msg(mgmt_json_to_setting(config_root_setting(&back), key, value, error) != NULL, "%s", error);
	text = conf_tree_text(&back, NULL);
	after = load(text, "");
	assert_same(before, after, text);
	again = mgmt_setting_to_json(config_root_setting(&back));
	ck_assert(json_equal(whole, again));
	json_decref(again);
	json_decref(whole);
	config_destroy(&back);
	free(text);
	target_configuration_drop(after);
}

static char *random_text(struct random_tree *random, config_t *tree, bool is_made)
{
	random->is_made = is_made;
	random->tags = 0;
	config_init(tree);
	random_tree_fill(random, tree);
	return conf_tree_text(tree, NULL);
}

static void run(struct random_tree *random, bool has_control_bytes)
{
	config_t file, made, tree;
	char *file_text, *made_text, *text;
	struct target_configuration *configuration;

	random->has_control_bytes = has_control_bytes;
	file_text = random_text(random, &file, false);
	made_text = random_text(random, &made, true);
	configuration = load(file_text, made_text);
	text = shown(configuration, &tree);
	assert_all_is_there(&file, &tree, text);
	assert_all_is_there(&made, &tree, text);
	assert_discovery(&file, &made, &tree, text);
	assert_file_is_the_same(configuration, text);
	if (!has_control_bytes)
		assert_json_is_the_same(configuration, &tree);
	target_configuration_drop(configuration);
	config_destroy(&tree);
	config_destroy(&made);
	config_destroy(&file);
	free(text);
	free(made_text);
	free(file_text);
}

static void assert_used(void *context, const struct conf_table *table, const struct conf_key *key, unsigned number)
{
	const struct random_tree *random = context;

	ck_assert_msg(random->used[number], "no run had %s of %s", key->name, table->name);
}

START_TEST(what_is_shown_says_the_same_when_it_is_read)
{
	struct random_tree random = {.state = 1};

	for (unsigned i = 0; i < RUNS; i++)
		run(&random, i % 2);
	random_tree_rows(assert_used, &random);
}
END_TEST

Suite *round_trip_suite(void);

Suite *round_trip_suite(void)
{
	Suite *suite = suite_create("round trip");
	TCase *tests = tcase_create("round trip");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_is_shown_says_the_same_when_it_is_read);
	suite_add_tcase(suite, tests);
	return suite;
}
