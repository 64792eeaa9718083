/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "store/plugins.h"
#include "unit/runner.h"

static const struct tgtkit_option schema[] = {
    {.key = "direct", .type = TGTKIT_OPTION_BOOL, .default_value = "true", .help = "h"},
    {.key = "depth", .type = TGTKIT_OPTION_INTEGER, .minimum = -5, .maximum = 100, .default_value = "7", .help = "h"},
    {.key = "any", .type = TGTKIT_OPTION_INTEGER, .help = "h"},
    {.key = "chunk", .type = TGTKIT_OPTION_SIZE, .minimum = 4096, .maximum = 1 << 30, .help = "h"},
    {.key = "ceph_", .type = TGTKIT_OPTION_STRING, .flags = TGTKIT_OPTION_PREFIX, .help = "h"},
    {.key = "name", .type = TGTKIT_OPTION_STRING, .help = "h"},
    {.key = "token", .type = TGTKIT_OPTION_STRING, .flags = TGTKIT_OPTION_SECRET, .help = "h"},
    {.key = "pin", .type = TGTKIT_OPTION_INTEGER, .flags = TGTKIT_OPTION_SECRET, .help = "h"},
    {.key = NULL},
};

static const struct tgtkit_option strict_schema[] = {
    {.key = "region", .type = TGTKIT_OPTION_STRING, .flags = TGTKIT_OPTION_REQUIRED, .help = "where it is"},
    {.key = NULL},
};

static const struct tgtkit_plugin descriptor = {.name = "p", .options = schema};
static const struct tgtkit_plugin strict_descriptor = {.name = "strict", .options = strict_schema};
static const struct tgtkit_plugin bare_descriptor = {.name = "bare"};
static const struct store_plugin plugin = {.descriptor = &descriptor};
static const struct store_plugin strict_plugin = {.descriptor = &strict_descriptor};
static const struct store_plugin bare_plugin = {.descriptor = &bare_descriptor};

static char error[STORE_ERROR_BYTES];
static struct store_values values;

static int parse_one(const char *key, const char *value)
{
	const struct store_setting setting = {key, value};

	error[0] = '\0';
	return store_values_parse(&plugin, &setting, 1, &values, error);
}

static const struct tgtkit_value *value_of(const char *key)
{
	for (size_t i = 0; i < values.count; i++) {
		if (strcmp(values.values[i].key, key) == 0)
			return &values.values[i];
	}
	ck_abort_msg("no value for %s", key);
	return NULL;
}

START_TEST(without_settings_there_is_one_default_per_row_but_prefixes)
{
	ck_assert_int_eq(store_values_parse(&plugin, NULL, 0, &values, error), 0);
	ck_assert_uint_eq(values.count, 7);
	ck_assert_str_eq(values.values[0].key, "direct");
	ck_assert(values.values[0].as.boolean);
	ck_assert_uint_eq(values.values[0].is_set, 0);
	ck_assert_int_eq(values.values[1].as.integer, 7);
	ck_assert_int_eq(values.values[2].as.integer, 0);
	ck_assert_uint_eq(values.values[3].as.size_bytes, 0);
	ck_assert_uint_eq(values.values[3].type, TGTKIT_OPTION_SIZE);
	ck_assert_str_eq(values.values[4].key, "name");
	ck_assert_ptr_null(values.values[4].as.string);
	store_values_free(&values);
	ck_assert_ptr_null(values.values);
}
END_TEST

START_TEST(settings_are_parsed_by_type)
{
	const struct store_setting settings[] = {
	    {"chunk", "4M"}, {"direct", "off"}, {"depth", "-5"}, {"name", ""}, {"any", "-9223372036854775808"},
	};

	ck_assert_int_eq(store_values_parse(&plugin, settings, 5, &values, error), 0);
	ck_assert_uint_eq(value_of("chunk")->as.size_bytes, 4u << 20);
	ck_assert_uint_eq(value_of("chunk")->is_set, 1);
	ck_assert(!value_of("direct")->as.boolean);
	ck_assert_int_eq(value_of("depth")->as.integer, -5);
	ck_assert_str_eq(value_of("name")->as.string, "");
	ck_assert_int_eq(value_of("any")->as.integer, INT64_MIN);
	store_values_free(&values);
}
END_TEST

START_TEST(values_do_not_point_into_the_settings)
{
	char text[] = "original", key[] = "ceph_mon";
	const struct store_setting settings[] = {{"name", text}, {key, text}};

	ck_assert_int_eq(store_values_parse(&plugin, settings, 2, &values, error), 0);
	memset(text, 'x', sizeof(text) - 1);
	memset(key, 'x', sizeof(key) - 1);
	ck_assert_str_eq(value_of("name")->as.string, "original");
	ck_assert_str_eq(value_of("ceph_mon")->as.string, "original");
	store_values_free(&values);
}
END_TEST

START_TEST(prefixed_keys_follow_the_rows_in_the_order_given)
{
	const struct store_setting settings[] = {{"ceph_b", "1"}, {"name", "n"}, {"ceph_a", "2"}};

	ck_assert_int_eq(store_values_parse(&plugin, settings, 3, &values, error), 0);
	ck_assert_uint_eq(values.count, 9);
	ck_assert_str_eq(values.values[7].key, "ceph_b");
	ck_assert_str_eq(values.values[8].key, "ceph_a");
	ck_assert_str_eq(values.values[8].as.string, "2");
	store_values_free(&values);
}
END_TEST

START_TEST(unknown_keys_are_refused_with_the_known_ones)
{
	ck_assert_int_eq(parse_one("depht", "1"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "depht"));
	ck_assert_ptr_nonnull(strstr(error, "depth"));
	ck_assert_ptr_nonnull(strstr(error, "ceph_*"));
	/* The prefix alone names nothing. */
	ck_assert_int_eq(parse_one("ceph_", "1"), -EINVAL);
	ck_assert_int_eq(store_values_parse(&bare_plugin, &(struct store_setting){"a", "b"}, 1, &values, error),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "it has none"));
	ck_assert_int_eq(store_values_parse(&bare_plugin, NULL, 0, &values, error), 0);
	ck_assert_uint_eq(values.count, 0);
	store_values_free(&values);
}
END_TEST

START_TEST(wrong_values_are_refused)
{
	static const struct store_setting wrong[] = {
	    {"direct", "maybe"}, {"direct", ""},
	    {"depth", "seven"},	 {"depth", "7x"},
	    {"depth", ""},	 {"depth", " 7"},
	    {"depth", "+7"},	 {"depth", "101"},
	    {"depth", "-6"},	 {"any", "9223372036854775808"},
	    {"chunk", "4095"},	 {"chunk", "1025M"},
	    {"chunk", "9000P"},	 {"chunk", "-1"},
	    {"chunk", "4X"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(parse_one(wrong[i].key, wrong[i].value) < 0, "%s = '%s'", wrong[i].key, wrong[i].value);
		ck_assert_ptr_nonnull(strstr(error, wrong[i].key));
		ck_assert_ptr_null(values.values);
	}
}
END_TEST

START_TEST(a_key_given_twice_is_refused)
{
	const struct store_setting settings[] = {{"depth", "1"}, {"depth", "1"}};

	ck_assert_int_eq(store_values_parse(&plugin, settings, 2, &values, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "twice"));
}
END_TEST

START_TEST(a_missing_required_option_is_named)
{
	ck_assert_int_eq(store_values_parse(&strict_plugin, NULL, 0, &values, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "region"));
	ck_assert_ptr_nonnull(strstr(error, "where it is"));
}
END_TEST

START_TEST(a_secret_is_never_shown)
{
	ck_assert_int_lt(parse_one("pin", "hunter2"), 0);
	ck_assert_ptr_nonnull(strstr(error, "pin"));
	ck_assert_ptr_null(strstr(error, "hunter2"));
	ck_assert_int_lt(parse_one("depth", "hunter2"), 0);
	ck_assert_ptr_nonnull(strstr(error, "hunter2"));
}
END_TEST

Suite *values_suite(void)
{
	Suite *suite = suite_create("values");
	TCase *tests = tcase_create("parse");

	tcase_add_test(tests, without_settings_there_is_one_default_per_row_but_prefixes);
	tcase_add_test(tests, settings_are_parsed_by_type);
	tcase_add_test(tests, values_do_not_point_into_the_settings);
	tcase_add_test(tests, prefixed_keys_follow_the_rows_in_the_order_given);
	tcase_add_test(tests, unknown_keys_are_refused_with_the_known_ones);
	tcase_add_test(tests, wrong_values_are_refused);
	tcase_add_test(tests, a_key_given_twice_is_refused);
	tcase_add_test(tests, a_missing_required_option_is_named);
	tcase_add_test(tests, a_secret_is_never_shown);
	suite_add_tcase(suite, tests);
	return suite;
}
