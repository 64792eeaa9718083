/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/convert.h"

#include "unit/runner.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static config_t tree;
static char error[MGMT_CONVERT_ERROR_BYTES];

static void setup(void)
{
	config_init(&tree);
}

static void teardown(void)
{
	config_destroy(&tree);
}

static config_setting_t *convert(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	config_setting_t *setting;

	ck_assert_ptr_nonnull(value);
	setting = mgmt_json_to_setting(config_root_setting(&tree), "a", value, error);
	json_decref(value);
	return setting;
}

static const char *const same[] = {
    "1",  "-1", "2147483647", "2147483648", "-9223372036854775808",  "true", "false", "\"text\"", "\"\"",
    "[]", "{}", "1.5",	      "[1, \"x\"]", "{\"b\": [{\"c\": 1}]}",
};

START_TEST(a_value_comes_back_as_it_was)
{
	config_setting_t *setting = convert(same[_i]);
	json_t *before = json_loads(same[_i], JSON_DECODE_ANY, NULL), *after;

	ck_assert_ptr_nonnull(setting);
	after = mgmt_setting_to_json(setting);
	ck_assert(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}
END_TEST

static const char *const bad[] = {"null", "[null]", "\"a\\u0001b\"", "\"\\u007f\"", "{\"b c\": 1}", "{\"\": 1}"};

START_TEST(what_a_configuration_cannot_hold_is_refused_with_a_reason)
{
	*error = '\0';
	ck_assert_ptr_null(convert(bad[_i]));
	ck_assert_int_ne(*error, '\0');
}
END_TEST

START_TEST(bytes_that_are_no_utf8_do_not_break_json)
{
	config_setting_t *setting = config_setting_add(config_root_setting(&tree), "a", CONFIG_TYPE_STRING);
	json_t *value;

	config_setting_set_string(setting, "\xff");
	value = mgmt_setting_to_json(setting);
	ck_assert_str_eq(json_string_value(value), "(not UTF-8)");
	json_decref(value);
}
END_TEST

Suite *convert_suite(void);

Suite *convert_suite(void)
{
	Suite *suite = suite_create("convert");
	TCase *tests = tcase_create("convert");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, a_value_comes_back_as_it_was, 0, COUNT(same));
	tcase_add_loop_test(tests, what_a_configuration_cannot_hold_is_refused_with_a_reason, 0, COUNT(bad));
	tcase_add_test(tests, bytes_that_are_no_utf8_do_not_break_json);
	suite_add_tcase(suite, tests);
	return suite;
}
