/* SPDX-License-Identifier: Apache-2.0
 *
 * The table itself, and that it and the manual page say the same.
 */
#include <stdio.h>

#include "config/keys.h"
#include "unit/runner.h"

static char page[256 * 1024];

static void read_page(void)
{
	const char *source = getenv("srcdir");
	char path[4096];
	FILE *file;
	size_t length;

	snprintf(path, sizeof(path), "%s/docs/tgtkit.conf.5", source ? source : ".");
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s cannot be read", path);
	length = fread(page, 1, sizeof(page) - 1, file);
	page[length] = '\0';
	fclose(file);
}

/* The page has an entry ".B KEY" for each key, and its default, if it has one, before the next entry. */
static void check_documented(const struct conf_key *key)
{
	char entry[128], fallback[128];
	const char *found, *next, *default_at;

	snprintf(entry, sizeof(entry), "\n.B %s\n", key->name);
	found = strstr(page, entry);
	ck_assert_msg(found != NULL, "docs/tgtkit.conf.5 has no entry for %s", key->name);
	if (!key->fallback || !*key->fallback || key->type == CONF_UNAVAILABLE || key->fallback[0] == '/')
		return;
	snprintf(fallback, sizeof(fallback), "Default: %s.", key->fallback);
	next = strstr(found + 1, "\n.TP");
	default_at = strstr(found, fallback);
	ck_assert_msg(default_at && (!next || default_at < next), "docs/tgtkit.conf.5: %s lacks \"%s\"", key->name,
		      fallback);
}

static void walk(const struct conf_table *table, void (*visit)(const struct conf_key *key))
{
	for (size_t i = 0; i < table->count; i++) {
		visit(&table->keys[i]);
		if (table->keys[i].type == CONF_GROUP)
			walk(table->keys[i].group, visit);
	}
}

static void walk_all(void (*visit)(const struct conf_key *key))
{
	const struct conf_table *const tables[] = {&conf_file_table, &conf_portal_group_table, &conf_portal_table,
						   &conf_target_table, &conf_lun_table};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		walk(tables[i], visit);
}

START_TEST(the_manual_page_has_every_key_and_its_default)
{
	read_page();
	walk_all(check_documented);
}
END_TEST

static void check_default(const struct conf_key *key)
{
	static union {
		char bytes[4096];
		max_align_t align;
	} object;
	struct target_arena arena = {0};
	char error[CONF_ERROR_BYTES] = "";

	if (key->fallback)
		ck_assert_msg(!conf_assign(key, &object, key->fallback, &arena, error), "%s: its default \"%s\": %s",
			      key->name, key->fallback, error);
	target_arena_free(&arena);
}

START_TEST(every_default_is_a_value_that_the_key_accepts)
{
	walk_all(check_default);
}
END_TEST

static void check_bounds(const struct conf_key *key)
{
	static const uint64_t limits[] = {
	    [CONF_U16] = UINT16_MAX, [CONF_U32] = UINT32_MAX, [CONF_SIZE] = INT64_MAX, [CONF_SIZE32] = UINT32_MAX};

	if (key->type < CONF_U16 || key->type > CONF_SIZE32)
		return;
	ck_assert_msg(key->maximum > key->minimum && key->maximum <= limits[key->type], "%s: its bounds", key->name);
}

START_TEST(every_number_has_bounds_that_its_member_can_hold)
{
	walk_all(check_bounds);
}
END_TEST

Suite *keys_suite(void)
{
	Suite *suite = suite_create("keys");
	TCase *tests = tcase_create("keys");

	tcase_add_test(tests, the_manual_page_has_every_key_and_its_default);
	tcase_add_test(tests, every_default_is_a_value_that_the_key_accepts);
	tcase_add_test(tests, every_number_has_bounds_that_its_member_can_hold);
	suite_add_tcase(suite, tests);
	return suite;
}
