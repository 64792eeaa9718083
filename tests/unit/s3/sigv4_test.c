/* SPDX-License-Identifier: Apache-2.0
 *
 * Against the worked examples of Amazon's manual ("Authenticating Requests: Using the Authorization Header").
 */
#include <config.h>

#include "s3/sigv4.h"
#include "unit/runner.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct s3_header plain_headers[] = {
    {"host", "examplebucket.s3.amazonaws.com"},
    {"x-amz-content-sha256", EMPTY_HASH},
    {"x-amz-date", "20130524T000000Z"},
};

static const struct s3_header range_headers[] = {
    {"host", "examplebucket.s3.amazonaws.com"},
    {"range", "bytes=0-9"},
    {"x-amz-content-sha256", EMPTY_HASH},
    {"x-amz-date", "20130524T000000Z"},
};

static struct s3_signing example(void)
{
	return (struct s3_signing){.method = "GET",
				   .path = "/",
				   .query = "",
				   .headers = plain_headers,
				   .header_count = 3,
				   .payload_hash = EMPTY_HASH,
				   .date = "20130524T000000Z",
				   .region = "us-east-1",
				   .access_key = "AKIAIOSFODNN7EXAMPLE",
				   .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
}

static void assert_signature(const struct s3_signing *signing, const char *signature)
{
	struct s3_text text = {0};

	s3_sign(signing, &text);
	ck_assert(!text.failed);
	ck_assert_str_eq(strstr(text.data, "Signature=") + strlen("Signature="), signature);
	s3_text_free(&text);
}

START_TEST(signs_a_ranged_get)
{
	struct s3_signing signing = example();

	signing.path = "/test.txt";
	signing.headers = range_headers;
	signing.header_count = 4;
	assert_signature(&signing, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}
END_TEST

START_TEST(signs_a_query)
{
	struct s3_signing signing = example();

	signing.query = "max-keys=2&prefix=J";
	assert_signature(&signing, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}
END_TEST

START_TEST(names_key_day_region_and_signed_headers)
{
	struct s3_signing signing = example();
	struct s3_text text = {0};

	s3_sign(&signing, &text);
	ck_assert_ptr_eq(strstr(text.data,
				"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
				"aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="),
			 text.data);
	s3_text_free(&text);
}
END_TEST

START_TEST(writes_dates_in_utc)
{
	char date[S3_DATE_BYTES];

	s3_date(1369353600, date);
	ck_assert_str_eq(date, "20130524T000000Z");
}
END_TEST

Suite *sigv4_suite(void)
{
	Suite *suite = suite_create("sigv4");
	TCase *tests = tcase_create("sigv4");

	tcase_add_test(tests, signs_a_ranged_get);
	tcase_add_test(tests, signs_a_query);
	tcase_add_test(tests, names_key_day_region_and_signed_headers);
	tcase_add_test(tests, writes_dates_in_utc);
	suite_add_tcase(suite, tests);
	return suite;
}
