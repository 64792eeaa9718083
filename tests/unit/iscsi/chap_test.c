/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "iscsi/chap.h"
#include "iscsi/text_parse.h"

static const uint8_t secret[] = "correct horse";
static const struct iscsi_account account = {.name = "alice", .secret = secret, .secret_bytes = sizeof secret - 1};

/* Over identifier 5Ah, "correct horse" and the bytes 0 to 15, by Python's hashlib. */
static const struct {
	enum iscsi_chap_algorithm algorithm;
	size_t length;
	const char *response;
} vectors[] = {
    {ISCSI_CHAP_MD5, 16, "0xefd2f5dd21c3c85213e7bfbad8dc4915"},
    {ISCSI_CHAP_SHA1, 20, "0x5dade9c87e10a6864276c3a2fce52f7113d63227"},
    {ISCSI_CHAP_SHA256, 32, "0x757ea02c2a0edc72f45b1727da78bc8b6e845601ff5c3d81aab0d2719bd44ee7"},
    {ISCSI_CHAP_SHA3_256, 32, "0x3b8e04bc5cdf799ec279444cc6c8e7edcd4a87fe17100014435b330d31fd6cba"},
};

static struct iscsi_chap_challenge known_challenge(enum iscsi_chap_algorithm algorithm)
{
	struct iscsi_chap_challenge challenge = {.algorithm = algorithm, .identifier = 0x5a, .length = 16};

	for (uint8_t i = 0; i < 16; i++)
		challenge.bytes[i] = i;
	return challenge;
}

START_TEST(responses_are_the_known_ones)
{
	struct iscsi_chap_challenge challenge = known_challenge(vectors[_i].algorithm);
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	char text[2 * ISCSI_CHAP_DIGEST_BYTES + 3];

	ck_assert_int_eq(iscsi_chap_respond(&challenge, &account, response), vectors[_i].length);
	iscsi_value_put_binary(text, response, vectors[_i].length);
	ck_assert_str_eq(text, vectors[_i].response);
	ck_assert(iscsi_chap_verify(&challenge, &account, response, vectors[_i].length));
}
END_TEST

START_TEST(wrong_responses_are_refused)
{
	struct iscsi_chap_challenge challenge = known_challenge(vectors[_i].algorithm);
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	size_t length = vectors[_i].length;

	iscsi_chap_respond(&challenge, &account, response);
	ck_assert(!iscsi_chap_verify(&challenge, NULL, response, length));
	ck_assert(!iscsi_chap_verify(&challenge, &account, response, length - 1));
	ck_assert(!iscsi_chap_verify(&challenge, &account, response, 0));
	for (size_t i = 0; i < length; i++) {
		response[i] ^= 1;
		ck_assert(!iscsi_chap_verify(&challenge, &account, response, length));
		response[i] ^= 1;
	}
	challenge.identifier++;
	ck_assert(!iscsi_chap_verify(&challenge, &account, response, length));
}
END_TEST

/* Whoever guesses what stands in for the secret of an unknown user must not pass either. */
START_TEST(unknown_user_never_passes)
{
	static const uint8_t zeros[ISCSI_CHAP_SMALLEST_SECRET_BYTES];
	const struct iscsi_account guess = {.name = "x", .secret = zeros, .secret_bytes = sizeof zeros};
	struct iscsi_chap_challenge challenge = known_challenge(ISCSI_CHAP_MD5);
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];

	iscsi_chap_respond(&challenge, &guess, response);
	ck_assert(!iscsi_chap_verify(&challenge, NULL, response, 16));
}
END_TEST

START_TEST(challenges_differ)
{
	struct iscsi_chap_challenge first, second;

	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		ck_assert_int_eq(iscsi_chap_make_challenge(&first, vectors[i].algorithm), 0);
		ck_assert_int_eq(iscsi_chap_make_challenge(&second, vectors[i].algorithm), 0);
		ck_assert_uint_eq(first.length, vectors[i].length);
		ck_assert_mem_ne(first.bytes, second.bytes, first.length);
		ck_assert(iscsi_chap_is_reflection(&first, &first));
		ck_assert(!iscsi_chap_is_reflection(&first, &second));
	}
}
END_TEST

START_TEST(unknown_algorithm_makes_nothing)
{
	struct iscsi_chap_challenge challenge = known_challenge(9);
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];

	ck_assert_int_lt(iscsi_chap_respond(&challenge, &account, response), 0);
	ck_assert_int_lt(iscsi_chap_make_challenge(&challenge, 9), 0);
}
END_TEST

static const struct {
	const char *list;
	enum iscsi_chap_algorithm by_default, configured; /* as sha1, md5 */
} lists[] = {
    {"5", ISCSI_CHAP_MD5, ISCSI_CHAP_MD5},
    {"5,7", ISCSI_CHAP_SHA256, ISCSI_CHAP_MD5},
    {"5,6,7,8", ISCSI_CHAP_SHA3_256, ISCSI_CHAP_SHA1},
    {"8", ISCSI_CHAP_SHA3_256, 0},
    {"0x6", ISCSI_CHAP_SHA1, ISCSI_CHAP_SHA1},
    {"9,55,MD5,,", 0, 0},
    {"", 0, 0},
    {"00000000000000000000000000000000005", 0, 0},
};

START_TEST(order_is_the_targets)
{
	static const enum iscsi_chap_algorithm order[] = {ISCSI_CHAP_SHA1, ISCSI_CHAP_MD5};
	struct iscsi_authentication authentication = {0};

	ck_assert_int_eq(iscsi_chap_choose(&authentication, lists[_i].list), lists[_i].by_default);
	authentication.algorithms = order;
	authentication.algorithm_count = 2;
	ck_assert_int_eq(iscsi_chap_choose(&authentication, lists[_i].list), lists[_i].configured);
}
END_TEST

Suite *chap_suite(void)
{
	Suite *suite = suite_create("chap");
	TCase *tests = tcase_create("chap");

	tcase_add_loop_test(tests, responses_are_the_known_ones, 0, sizeof vectors / sizeof *vectors);
	tcase_add_loop_test(tests, wrong_responses_are_refused, 0, sizeof vectors / sizeof *vectors);
	tcase_add_test(tests, unknown_user_never_passes);
	tcase_add_test(tests, challenges_differ);
	tcase_add_test(tests, unknown_algorithm_makes_nothing);
	tcase_add_loop_test(tests, order_is_the_targets, 0, sizeof lists / sizeof *lists);
	suite_add_tcase(suite, tests);
	return suite;
}
