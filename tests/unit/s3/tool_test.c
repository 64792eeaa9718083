/* SPDX-License-Identifier: Apache-2.0
 *
 * gotgt's layout, and tgtkit-s3; and that manual page and option table say the same.
 */
#include <config.h>

#include <stdio.h>

#include "lab.h"
#include "s3/settings.h"

#define KIB   1024u
#define CHUNK (96u * KIB) /* no power of two: gotgt does not mind */

static char output[4096];

/* Runs tgtkit-s3 and keeps what it printed.  Its exit status. */
static int run_tool(const struct lab_volume *volume, const char *verb)
{
	char command[1024];
	FILE *stream;
	size_t length;
	int status;

	snprintf(command, sizeof(command),
		 "'%s' -o endpoint=%s -o access_key=%s -o secret_key_file=%s -o lease_s=3 %s s3:%s 2>&1", S3_TOOL,
		 volume->options[0].value, volume->options[1].value, volume->options[2].value, verb, volume->path);
	stream = popen(command, "r");
	ck_assert_ptr_nonnull(stream);
	length = fread(output, 1, sizeof(output) - 1, stream);
	output[length] = '\0';
	status = pclose(stream);
	return WEXITSTATUS(status);
}

static void put(struct lab_raw *raw, const char *name, const void *bytes, size_t length)
{
	struct tgtkit_error error;

	ck_assert_msg(s3_object_put(&raw->session, name, bytes, length, false, &error) == 0, "%s", error.message);
}

/* Three chunks: one whole, one short, one absent. */
static void make_gotgt(struct lab_volume *volume, unsigned char *model)
{
	static const char metadata[] = "{\"deviceSize\":294912,\"chunkSize\":98304}";
	struct lab_raw raw;

	lab_volume(volume, 0);
	lab_raw_open(&raw, volume);
	lab_fill(model, CHUNK + 5000, 0, 1);
	memset(model + CHUNK + 5000, 0, 2 * CHUNK - 5000);
	put(&raw, "_metadata", metadata, strlen(metadata));
	put(&raw, "chunk_0000000000", model, CHUNK);
	put(&raw, "chunk_0000000001", model + CHUNK, 5000);
	lab_raw_close(&raw);
}

static void compare(struct fh_unit *unit, const unsigned char *model)
{
	static unsigned char found[3 * CHUNK];

	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 3 * CHUNK);
	ck_assert_int_eq(fh_read(unit, found, 3 * CHUNK, 0), 0);
	ck_assert_mem_eq(found, model, 3 * CHUNK);
}

START_TEST(gotgts_volumes_open_read_only_and_convert_in_place)
{
	static unsigned char model[3 * CHUNK];
	struct lab_volume volume;
	struct fh_unit *unit;

	make_gotgt(&volume, model);
	unit = lab_open(&volume);
	ck_assert_uint_ne(fh_capabilities(unit)->flags & TGTKIT_READ_ONLY, 0);
	compare(unit, model);
	fh_close(unit);
	ck_assert_msg(run_tool(&volume, "convert") == 0, "%s", output);
	unit = lab_open(&volume);
	ck_assert_uint_eq(fh_capabilities(unit)->flags & TGTKIT_READ_ONLY, 0);
	compare(unit, model);
	lab_fill(model + CHUNK + 4096, 2048, 0, 2);
	ck_assert_int_eq(fh_write(unit, model + CHUNK + 4096, 2048, CHUNK + 4096, 0), 0);
	fh_close(unit);
	unit = lab_open(&volume);
	compare(unit, model);
	fh_close(unit);
	ck_assert_msg(run_tool(&volume, "check") == 0, "%s", output);
	ck_assert_ptr_nonnull(strstr(output, "2 chunks (0 of zeros), 0 missing, 0 of a wrong size"));
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* On a terminal, which script(1) makes. */
START_TEST(a_conversion_shows_how_far_it_is)
{
	static unsigned char model[3 * CHUNK];
	struct lab_volume volume;
	char command[1024];
	FILE *stream;

	make_gotgt(&volume, model);
	snprintf(command, sizeof(command),
		 "script -qec \"'%s' -o endpoint=%s -o access_key=%s -o secret_key_file=%s convert s3:%s\" /dev/null",
		 S3_TOOL, volume.options[0].value, volume.options[1].value, volume.options[2].value, volume.path);
	stream = popen(command, "r");
	ck_assert_ptr_nonnull(stream);
	output[fread(output, 1, sizeof(output) - 1, stream)] = '\0';
	ck_assert_int_eq(pclose(stream), 0);
	ck_assert_msg(strstr(output, "converting [########") != NULL, "%s", output);
	/* From the keys: the last of three chunks is absent, two steps follow. */
	ck_assert_msg(strstr(output, "]  20 %") != NULL, "%s", output);
	ck_assert_msg(strstr(output, "] 100 %") != NULL, "%s", output);
}
END_TEST

START_TEST(volumes_are_listed)
{
	struct lab_volume volume;

	lab_volume(&volume, 1024 * KIB);
	fh_close(lab_create(&volume));
	ck_assert_msg(run_tool(&volume, "list") == 0, "%s", output);
	ck_assert_ptr_nonnull(strstr(output, "1048576     65536"));
}
END_TEST

START_TEST(a_check_finds_garbage_and_losses_and_cleans)
{
	static unsigned char chunk[64 * KIB];
	struct lab_volume volume;
	struct lab_raw raw;
	struct fh_unit *unit;

	lab_volume(&volume, 1024 * KIB);
	unit = lab_create(&volume);
	lab_fill(chunk, sizeof(chunk), 0, 1);
	ck_assert_int_eq(fh_write(unit, chunk, sizeof(chunk), 0, 0), 0);
	fh_close(unit);
	lab_raw_open(&raw, &volume);
	/* An upload of an old generation that came too late. */
	put(&raw, "g00000001/chunk_0000000000.00000000", chunk, sizeof(chunk));
	put(&raw, "stranger", "x", 1);
	ck_assert_msg(run_tool(&volume, "check") == 0, "%s", output);
	ck_assert_ptr_nonnull(strstr(output, "1 chunks (0 of zeros), 0 missing"));
	ck_assert_ptr_nonnull(strstr(output, "1 foreign objects, 1 objects of garbage (65536 bytes)"));
	ck_assert_uint_eq(lab_count(&raw, "g"), 2);
	ck_assert_msg(run_tool(&volume, "check --clean") == 0, "%s", output);
	ck_assert_uint_eq(lab_count(&raw, "g"), 1);
	unit = lab_open(&volume);
	ck_assert_int_ne(run_tool(&volume, "check --clean"), 0); /* in use */
	fh_close(unit);
	lab_raw_close(&raw);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(wrong_usage_is_told)
{
	struct lab_volume volume;

	lab_volume(&volume, 0);
	ck_assert_int_eq(run_tool(&volume, "frobnicate"), 2);
	ck_assert_int_eq(run_tool(&volume, "-o nonsense=1 list"), 2);
	ck_assert_int_eq(run_tool(&volume, "-o retries=many list"), 2);
	ck_assert_int_eq(run_tool(&volume, "convert"), 1);
}
END_TEST

/* ---- The manual page
 * ----------------------------------------------------------------------------------------------------- */

static char *page(void)
{
	static char text[32 * KIB];
	FILE *stream = fopen(S3_MANUAL, "r");

	ck_assert_ptr_nonnull(stream);
	text[fread(text, 1, sizeof(text) - 1, stream)] = '\0';
	fclose(stream);
	return strstr(text, ".SH OPTIONS\n");
}

START_TEST(the_manual_page_has_every_option_with_its_default)
{
	char *section = page(), wanted[96], *entry, *end;
	unsigned count = 0, in_page = 0;

	ck_assert_ptr_nonnull(section);
	*strstr(section + 1, "\n.SH ") = '\0';
	for (const char *at = strstr(section, ".TP\n"); at != NULL; at = strstr(at + 1, ".TP\n"))
		in_page++;
	for (const struct tgtkit_option *option = s3_options; option->key != NULL; option++, count++) {
		snprintf(wanted, sizeof(wanted), ".TP\n.B %s\n", option->key);
		entry = strstr(section, wanted);
		ck_assert_msg(entry != NULL, "%s is not in the page", option->key);
		if (option->default_value == NULL)
			continue;
		snprintf(wanted, sizeof(wanted), "Default: %s.", option->default_value);
		end = strstr(entry + 1, ".TP\n");
		entry = strstr(entry, wanted);
		ck_assert_msg(entry != NULL && (end == NULL || entry < end), "%s lacks '%s'", option->key, wanted);
	}
	ck_assert_uint_eq(count, in_page);
}
END_TEST

Suite *tool_suite(void)
{
	Suite *suite = suite_create("tool");
	TCase *tests = tcase_create("tool");

	tcase_add_unchecked_fixture(tests, lab_set_up, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, gotgts_volumes_open_read_only_and_convert_in_place);
	tcase_add_test(tests, a_conversion_shows_how_far_it_is);
	tcase_add_test(tests, volumes_are_listed);
	tcase_add_test(tests, a_check_finds_garbage_and_losses_and_cleans);
	tcase_add_test(tests, wrong_usage_is_told);
	tcase_add_test(tests, the_manual_page_has_every_option_with_its_default);
	suite_add_tcase(suite, tests);
	return suite;
}
