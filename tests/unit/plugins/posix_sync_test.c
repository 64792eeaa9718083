/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of flushes in plugins/common/posix_sync.c, whoever asks for them: none is answered by a sync that began
 * before it was asked for, and a failure stays.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/posix_sync.h"
#include "plugins_test.h"

#define NOT_ANSWERED 1

struct wish {
	struct posix_flush flush;
	bool leads;
	int status;
};

static struct posix_sync posix_sync;
static struct wish wishes[4];

static void lead(struct posix_flush *self)
{
	((struct wish *)self)->leads = true;
}

static void done(struct posix_flush *self, int status)
{
	((struct wish *)self)->status = status;
}

static void set_up(void)
{
	ck_assert_int_eq(posix_sync_init(&posix_sync, -1, 2), 0);
	for (unsigned i = 0; i < 4; i++)
		wishes[i] = (struct wish){.flush = {.lead = lead, .done = done}, .status = NOT_ANSWERED};
}

static void tear_down(void)
{
	posix_sync_destroy(&posix_sync);
}

START_TEST(one_that_comes_during_a_sync_waits_for_the_next)
{
	ck_assert(posix_sync_enter(&posix_sync, &wishes[0].flush));
	ck_assert(!posix_sync_enter(&posix_sync, &wishes[1].flush));
	ck_assert(!posix_sync_enter(&posix_sync, &wishes[2].flush));
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), 0);
	/* The first of them leads, and the other is not answered before it has synced. */
	ck_assert(wishes[1].leads && !wishes[2].leads);
	ck_assert_int_eq(wishes[2].status, NOT_ANSWERED);
	ck_assert(!posix_sync_enter(&posix_sync, &wishes[3].flush));
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), 0);
	ck_assert_int_eq(wishes[2].status, 0);
	/* It came while the second one ran. */
	ck_assert_int_eq(wishes[3].status, NOT_ANSWERED);
	ck_assert(wishes[3].leads);
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), 0);
	ck_assert(posix_sync_enter(&posix_sync, &wishes[0].flush));
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), 0);
}
END_TEST

START_TEST(a_failure_is_for_all_that_shared_it_and_for_ever)
{
	ck_assert(posix_sync_enter(&posix_sync, &wishes[0].flush));
	ck_assert(!posix_sync_enter(&posix_sync, &wishes[1].flush));
	ck_assert(!posix_sync_enter(&posix_sync, &wishes[2].flush));
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), 0);
	ck_assert_int_eq(posix_sync_leave(&posix_sync, -EDQUOT), -ENOSPC);
	ck_assert_int_eq(wishes[2].status, -ENOSPC);
	/* Linux reports it once, and says yes from then on. */
	ck_assert(posix_sync_enter(&posix_sync, &wishes[3].flush));
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), -ENOSPC);
}
END_TEST

START_TEST(one_that_waits_can_be_taken_back)
{
	ck_assert(posix_sync_enter(&posix_sync, &wishes[0].flush));
	ck_assert(!posix_sync_cancel(&posix_sync, &wishes[0].flush));
	for (unsigned i = 1; i < 4; i++)
		ck_assert(!posix_sync_enter(&posix_sync, &wishes[i].flush));
	ck_assert(posix_sync_cancel(&posix_sync, &wishes[1].flush));
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), 0);
	ck_assert(!wishes[1].leads && wishes[2].leads);
	ck_assert(!posix_sync_cancel(&posix_sync, &wishes[2].flush));
	ck_assert(posix_sync_cancel(&posix_sync, &wishes[3].flush));
	ck_assert_int_eq(posix_sync_leave(&posix_sync, 0), 0);
	ck_assert_int_eq(wishes[1].status, NOT_ANSWERED);
	ck_assert_int_eq(wishes[3].status, NOT_ANSWERED);
}
END_TEST

START_TEST(no_two_borrow_the_same_description)
{
	int first, second;
	bool may_open;

	make_file("store", 4096);
	posix_sync.fd = open(in_scratch("store"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(posix_sync_borrow_spare(&posix_sync, &may_open), -1);
	ck_assert(may_open);
	first = posix_sync_borrow(&posix_sync);
	second = posix_sync_borrow(&posix_sync);
	ck_assert(first >= 0 && second >= 0 && first != second);
	/* Two is the limit. */
	ck_assert_int_eq(posix_sync_borrow_spare(&posix_sync, &may_open), -1);
	ck_assert(!may_open);
	ck_assert_int_eq(posix_sync_borrow(&posix_sync), -1);
	posix_sync_return(&posix_sync, first);
	ck_assert_int_eq(posix_sync_borrow_spare(&posix_sync, &may_open), first);
	posix_sync_return(&posix_sync, first);
	posix_sync_return(&posix_sync, second);
	close(posix_sync.fd);
}
END_TEST

TCase *posix_sync_tests(void)
{
	TCase *tests = tcase_create("flushes of files");

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down_scratch);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, one_that_comes_during_a_sync_waits_for_the_next);
	tcase_add_test(tests, a_failure_is_for_all_that_shared_it_and_for_ever);
	tcase_add_test(tests, one_that_waits_can_be_taken_back);
	tcase_add_test(tests, no_two_borrow_the_same_description);
	return tests;
}
