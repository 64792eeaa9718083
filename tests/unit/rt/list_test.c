/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>

#include "rt/list.h"

struct item {
	int number;
	struct rt_list node;
};

static struct item items[4];
static struct rt_list head;

static void setup(void)
{
	rt_list_init(&head);
	for (int i = 0; i < 4; i++) {
		items[i].number = i;
		rt_list_init(&items[i].node);
	}
}

/* The numbers in order, as decimal digits. */
static int digits(const struct rt_list *list)
{
	int value = 0;

	for (const struct rt_list *node = list->next; node != list; node = node->next)
		value = value * 10 + RT_CONTAINER_OF(node, struct item, node)->number;
	return value;
}

START_TEST(append_and_prepend_keep_order)
{
	ck_assert(rt_list_is_empty(&head));
	rt_list_append(&head, &items[2].node);
	rt_list_append(&head, &items[3].node);
	rt_list_prepend(&head, &items[1].node);
	ck_assert_int_eq(digits(&head), 123);
	ck_assert(!rt_list_is_empty(&head));
}
END_TEST

START_TEST(remove_is_safe_twice)
{
	for (int i = 1; i < 4; i++)
		rt_list_append(&head, &items[i].node);
	rt_list_remove(&items[2].node);
	rt_list_remove(&items[2].node);
	ck_assert_int_eq(digits(&head), 13);
}
END_TEST

START_TEST(take_first_takes_in_order_until_empty)
{
	rt_list_append(&head, &items[1].node);
	rt_list_append(&head, &items[2].node);
	ck_assert_ptr_eq(rt_list_take_first(&head), &items[1].node);
	ck_assert_ptr_eq(rt_list_take_first(&head), &items[2].node);
	ck_assert_ptr_null(rt_list_take_first(&head));
}
END_TEST

START_TEST(splice_moves_all_to_the_end)
{
	struct rt_list other;

	rt_list_init(&other);
	rt_list_append(&head, &items[1].node);
	rt_list_splice(&head, &other);
	ck_assert_int_eq(digits(&head), 1);
	rt_list_append(&other, &items[2].node);
	rt_list_append(&other, &items[3].node);
	rt_list_splice(&head, &other);
	ck_assert_int_eq(digits(&head), 123);
	ck_assert(rt_list_is_empty(&other));
}
END_TEST

START_TEST(for_each_survives_removal_of_its_node)
{
	int sum = 0;

	for (int i = 1; i < 4; i++)
		rt_list_append(&head, &items[i].node);
	RT_LIST_FOR_EACH (node, &head) {
		sum = sum * 10 + RT_CONTAINER_OF(node, struct item, node)->number;
		rt_list_remove(node);
	}
	ck_assert_int_eq(sum, 123);
	ck_assert(rt_list_is_empty(&head));
}
END_TEST

Suite *list_suite(void)
{
	Suite *suite = suite_create("list");
	TCase *tests = tcase_create("list");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, append_and_prepend_keep_order);
	tcase_add_test(tests, remove_is_safe_twice);
	tcase_add_test(tests, take_first_takes_in_order_until_empty);
	tcase_add_test(tests, splice_moves_all_to_the_end);
	tcase_add_test(tests, for_each_survives_removal_of_its_node);
	suite_add_tcase(suite, tests);
	return suite;
}
