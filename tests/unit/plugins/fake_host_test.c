/* SPDX-License-Identifier: Apache-2.0
 *
 * The fake host notices when a plugin breaks a rule: else the other tests of this program would prove little.
 */
#include <errno.h>

#include "plugins_test.h"

static const struct {
	const char *rule;
	uint32_t operation;
} rules[] = {
    {"scribble-scratch", TGTKIT_WRITE}, {"scribble-buffer", TGTKIT_READ}, {"change-request", TGTKIT_WRITE},
    {"ready-unasked", TGTKIT_WRITE},	{"two-lines", TGTKIT_WRITE},	  {"positive-status", TGTKIT_WRITE},
    {"complete-twice", TGTKIT_WRITE},	{"odd-alignment", TGTKIT_WRITE},
};

static struct fh_unit *open_rogue(const char *rule)
{
	const struct fh_spec spec = {.plugin = fh_load(ROGUE_PLUGIN), .path = rule};
	struct fh_unit *unit;

	ck_status(fh_open(&spec, &unit), 0);
	return unit;
}

START_TEST(a_broken_rule_is_noticed)
{
	unsigned char data[1536] = {0};
	struct fh_unit *unit = open_rogue(rules[_i].rule);

	fh_wait(fh_start(unit, rules[_i].operation, data, sizeof(data), 0, 0));
	fh_close(unit);
	ck_assert_msg(fh_violations() > 0, "%s went unnoticed", rules[_i].rule);
}
END_TEST

START_TEST(an_event_after_close_is_noticed)
{
	unsigned char data[1536] = {0};
	struct fh_unit *unit = open_rogue("event-after-close");

	ck_status(fh_write(unit, data, sizeof(data), 0, 0), 0);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
	unit = open_rogue("event-after-close");
	ck_status(fh_write(unit, data, sizeof(data), 0, 0), 0);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 1);
}
END_TEST

START_TEST(a_failure_without_a_reason_is_noticed)
{
	const struct fh_spec spec = {.plugin = fh_load(ROGUE_PLUGIN), .path = "fail-without-reason"};
	struct fh_unit *unit;

	ck_status(fh_open(&spec, &unit), -EIO);
	ck_assert_uint_eq(fh_violations(), 1);
}
END_TEST

START_TEST(a_well_behaved_unit_passes)
{
	unsigned char data[1536] = {0};
	struct fh_unit *unit = open_rogue("none");

	ck_status(fh_write(unit, data, sizeof(data), 0, 0), 0);
	ck_status(fh_read(unit, data, sizeof(data), 0), 0);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

TCase *fake_host_tests(void)
{
	TCase *tests = tcase_create("the fake host");

	tcase_add_loop_test(tests, a_broken_rule_is_noticed, 0, sizeof(rules) / sizeof(rules[0]));
	tcase_add_test(tests, an_event_after_close_is_noticed);
	tcase_add_test(tests, a_failure_without_a_reason_is_noticed);
	tcase_add_test(tests, a_well_behaved_unit_passes);
	return tests;
}
