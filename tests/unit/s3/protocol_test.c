/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read from, and said to, the server: XML, URLs, verdicts; and the shared configuration files.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>

#include "s3/address.h"
#include "s3/ini.h"
#include "s3/retry.h"
#include "s3/xml.h"
#include "unit/runner.h"

static int parse(const char *xml, struct s3_list *list)
{
	return s3_list_parse(xml, strlen(xml), list);
}

START_TEST(lists_are_put_together_from_pages)
{
	struct s3_list list = {0};

	ck_assert_int_eq(parse("<?xml version='1.0'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
			       "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
			       "<NextContinuationToken>a&amp;b</NextContinuationToken>"
			       "<Contents><Key>v/a%20b</Key><Size>0</Size></Contents></ListBucketResult>",
			       &list),
			 0);
	ck_assert_str_eq(list.next_token, "a&b");
	ck_assert_int_eq(parse("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>v/c%20</Key>"
			       "<Size>4194304</Size></Contents><CommonPrefixes><Prefix>v/g/</Prefix></CommonPrefixes>"
			       "</ListBucketResult>",
			       &list),
			 0);
	ck_assert_ptr_null(list.next_token);
	ck_assert_uint_eq(list.count, 2);
	ck_assert_str_eq(list.objects[0].key, "v/a b");
	ck_assert_str_eq(list.objects[1].key, "v/c%20");
	ck_assert_uint_eq(list.objects[1].size_bytes, 4194304);
	ck_assert_str_eq(list.prefixes[0], "v/g/");
	s3_list_free(&list);
}
END_TEST

START_TEST(broken_lists_are_refused)
{
	static const char *const bad[] = {
	    "",
	    "no xml",
	    "<ListBucketResult>",
	    "<Other><IsTruncated>false</IsTruncated></Other>",
	    "<ListBucketResult/>",
	    "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key></Contents></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>-1</Size></Contents>"
	    "</ListBucketResult>",
	    "<!DOCTYPE x [<!ENTITY e 'false'>]><ListBucketResult><IsTruncated>&e;</IsTruncated></ListBucketResult>"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct s3_list list = {0};

		ck_assert_msg(parse(bad[i], &list) == -EBADMSG, "%s", bad[i]);
		s3_list_free(&list);
	}
}
END_TEST

START_TEST(errors_are_read_and_made_fit_for_a_log)
{
	static const char xml[] =
	    "<Error><Code>SlowDown</Code><Message>a\nb</Message><RequestId>r1</RequestId></Error>";
	struct s3_error_text error;

	s3_error_parse(xml, strlen(xml), &error);
	ck_assert_str_eq(error.code, "SlowDown");
	ck_assert_str_eq(error.message, "a b");
	ck_assert_str_eq(error.request_id, "r1");
	s3_error_parse("<html>", 6, &error);
	ck_assert_str_eq(error.code, "");
}
END_TEST

START_TEST(verdicts_follow_status_and_code)
{
	ck_assert_int_eq(s3_classify(200, ""), S3_DONE);
	ck_assert_int_eq(s3_classify(206, ""), S3_DONE);
	ck_assert_int_eq(s3_classify(0, ""), S3_RETRY);
	ck_assert_int_eq(s3_classify(500, "InternalError"), S3_RETRY);
	ck_assert_int_eq(s3_classify(503, "SlowDown"), S3_RETRY);
	ck_assert_int_eq(s3_classify(501, "NotImplemented"), S3_FAILED);
	ck_assert_int_eq(s3_classify(408, ""), S3_RETRY);
	ck_assert_int_eq(s3_classify(429, ""), S3_RETRY);
	ck_assert_int_eq(s3_classify(409, "OperationAborted"), S3_RETRY);
	ck_assert_int_eq(s3_classify(409, "ConditionalRequestConflict"), S3_RETRY);
	ck_assert_int_eq(s3_classify(409, "BucketAlreadyExists"), S3_FAILED);
	ck_assert_int_eq(s3_classify(400, "RequestTimeout"), S3_RETRY);
	ck_assert_int_eq(s3_classify(400, "ExpiredToken"), S3_RETRY_CREDENTIALS);
	ck_assert_int_eq(s3_classify(403, "RequestTimeTooSkewed"), S3_RETRY_CLOCK);
	ck_assert_int_eq(s3_classify(403, "AccessDenied"), S3_FAILED);
	ck_assert_int_eq(s3_classify(404, "NoSuchKey"), S3_FAILED);
	ck_assert_int_eq(s3_status_errno(204, ""), 0);
	ck_assert_int_eq(s3_status_errno(403, "QuotaExceeded"), -ENOSPC);
	ck_assert_int_eq(s3_status_errno(0, ""), -ETIMEDOUT);
	ck_assert_int_eq(s3_status_errno(412, "PreconditionFailed"), -EEXIST);
	ck_assert_int_eq(s3_status_errno(404, ""), -ENOENT);
}
END_TEST

START_TEST(backoff_grows_to_its_limit_and_jitters)
{
	ck_assert_uint_eq(s3_backoff_us(1, 0), 25000);
	ck_assert_uint_eq(s3_backoff_us(2, 0), 50000);
	ck_assert_uint_eq(s3_backoff_us(60, 0), 2500000);
	ck_assert_uint_ne(s3_backoff_us(3, 1), s3_backoff_us(3, 2));
	for (uint32_t random = 0; random < 100000; random += 777)
		ck_assert_uint_le(s3_backoff_us(9, random * 39119), 5000000);
}
END_TEST

START_TEST(addresses_in_both_styles)
{
	struct s3_address address;
	struct s3_text path = {0};
	const char *reason;

	ck_assert_int_eq(s3_address_parse("bucket/a/b", "http://127.0.0.1:80/", "r", true, &address, &reason), 0);
	ck_assert_str_eq(address.host, "127.0.0.1:80");
	ck_assert_str_eq(address.prefix, "a/b/");
	ck_assert(!address.is_tls);
	s3_address_path(&address, "a/b/c d", &path);
	ck_assert_str_eq(path.data, "/bucket/a/b/c%20d");
	s3_address_free(&address);
	s3_text_clear(&path);
	ck_assert_int_eq(s3_address_parse("bucket", NULL, "eu-west-1", false, &address, &reason), 0);
	ck_assert_str_eq(address.origin, "https://bucket.s3.eu-west-1.amazonaws.com");
	ck_assert_str_eq(address.prefix, "");
	s3_address_path(&address, "", &path);
	ck_assert_str_eq(path.data, "/");
	s3_address_free(&address);
	s3_text_free(&path);
}
END_TEST

START_TEST(wrong_addresses_are_refused)
{
	static const char *const paths[] = {"", "/x", "ab", "buc ket/x", "bucket//x", "bucket/a//b", "bucket/a\nb"};
	static const char *const endpoints[] = {"", "ftp://x", "http://", "http://x/y", "https://u@h", "x:80"};
	struct s3_address address;
	const char *reason;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		ck_assert_msg(s3_address_parse(paths[i], NULL, "r", true, &address, &reason) == -EINVAL, "%s",
			      paths[i]);
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		ck_assert_msg(s3_address_parse("bucket/x", endpoints[i], "r", true, &address, &reason) == -EINVAL, "%s",
			      endpoints[i]);
}
END_TEST

static bool collect(void *context, const char *key, const char *value)
{
	char *seen = context;

	snprintf(seen + strlen(seen), 200 - strlen(seen), "%s=%s;", key, value);
	return true;
}

START_TEST(shared_files_are_read_by_profile)
{
	static const char text[] = "# c\n[default]\na = 1\n[profile  other ]\r\nkey=v = w \r\ns3 =\n  nested = 1\n"
				   "b = x#y ; comment\nnonsense\n[late]\na=3";
	char seen[200] = "";

	ck_assert(s3_ini_read(text, strlen(text), "other", collect, seen));
	ck_assert_str_eq(seen, "key=v = w;s3=;b=x#y;");
	seen[0] = '\0';
	ck_assert(s3_ini_read(text, strlen(text), "late", collect, seen));
	ck_assert_str_eq(seen, "a=3;");
	ck_assert(!s3_ini_read(text, strlen(text), "absent", collect, seen));
}
END_TEST

static bool measure(void *context, const char *key, const char *value)
{
	(void)key;
	*(size_t *)context = strlen(value);
	return true;
}

START_TEST(long_values_of_shared_files_are_kept)
{
	char *text = malloc(S3_INI_VALUE_BYTES + 64);
	size_t length = 0;

	ck_assert_ptr_nonnull(text);
	strcpy(text, "[p]\nt=");
	memset(text + 6, 'x', S3_INI_VALUE_BYTES);
	ck_assert(s3_ini_read(text, 6 + S3_INI_VALUE_BYTES, "p", measure, &length));
	ck_assert_uint_eq(length, S3_INI_VALUE_BYTES);
	free(text);
}
END_TEST

Suite *protocol_suite(void)
{
	Suite *suite = suite_create("protocol");
	TCase *tests = tcase_create("protocol");

	tcase_add_test(tests, lists_are_put_together_from_pages);
	tcase_add_test(tests, broken_lists_are_refused);
	tcase_add_test(tests, errors_are_read_and_made_fit_for_a_log);
	tcase_add_test(tests, verdicts_follow_status_and_code);
	tcase_add_test(tests, backoff_grows_to_its_limit_and_jitters);
	tcase_add_test(tests, addresses_in_both_styles);
	tcase_add_test(tests, wrong_addresses_are_refused);
	tcase_add_test(tests, shared_files_are_read_by_profile);
	tcase_add_test(tests, long_values_of_shared_files_are_kept);
	suite_add_tcase(suite, tests);
	return suite;
}
