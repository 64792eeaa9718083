/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin's option table and its manual page say the same: every option is in the page's section OPTIONS, as
 * ".TP" and ".B key", its default with it, and no other is.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins_test.h"

static const struct {
	const char *plugin, *manual;
} pages[] = {
    {FILE_PLUGIN, MANUALS "/file/tgtkit-file.7"},
#ifdef IOURING_PLUGIN
    {IOURING_PLUGIN, MANUALS "/iouring/tgtkit-iouring.7"},
#endif
    {NULL_PLUGIN, MANUALS "/null/tgtkit-null.7"},
#ifdef RBD_PLUGIN
    {RBD_PLUGIN, MANUALS "/rbd/tgtkit-rbd.7"},
#endif
#ifdef REMOTE_PLUGIN
    {REMOTE_PLUGIN, MANUALS "/remote/tgtkit-remote.7"},
#endif
};

/* The text of the section OPTIONS, to be freed. */
static char *options_section(const char *file)
{
	static const char heading[] = ".SH OPTIONS\n";
	char *text = NULL, *start, *end, *section;
	size_t capacity = 0;
	FILE *stream = fopen(file, "r");

	ck_assert_msg(stream != NULL, "%s is missing", file);
	ck_assert_int_gt(getdelim(&text, &capacity, '\0', stream), 0);
	fclose(stream);
	start = strstr(text, heading);
	ck_assert_msg(start != NULL, "%s has no section OPTIONS", file);
	start += strlen(heading);
	end = strstr(start, "\n.SH ");
	section = strndup(start, end == NULL ? strlen(start) : (size_t)(end - start));
	free(text);
	return section;
}

/* The paragraph of `key`, to be freed, or NULL. */
static char *paragraph_of(const char *section, const char *key)
{
	char wanted[96];
	const char *start, *end;

	snprintf(wanted, sizeof(wanted), ".TP\n.B %s\n", key);
	start = strstr(section, wanted);
	if (start == NULL)
		return NULL;
	end = strstr(start + 1, ".TP\n");
	return strndup(start, end == NULL ? strlen(start) : (size_t)(end - start));
}

START_TEST(the_manual_page_lists_the_options_and_no_others)
{
	const struct tgtkit_plugin *plugin = fh_load(pages[_i].plugin);
	char *section = options_section(pages[_i].manual), *paragraph;
	unsigned in_table = 0, in_page = 0;
	char expected[96];

	for (const struct tgtkit_option *row = plugin->options; row->key != NULL; row++, in_table++) {
		paragraph = paragraph_of(section, row->key);
		ck_assert_msg(paragraph != NULL, "%s does not describe '%s'", pages[_i].manual, row->key);
		snprintf(expected, sizeof(expected), "Default: %s.",
			 row->default_value == NULL ? "none" : row->default_value);
		ck_assert_msg(strstr(paragraph, expected) != NULL, "%s: '%s' lacks '%s'", pages[_i].manual, row->key,
			      expected);
		free(paragraph);
	}
	for (const char *entry = strstr(section, ".TP\n"); entry != NULL; entry = strstr(entry + 1, ".TP\n"))
		in_page++;
	ck_assert_uint_eq(in_page, in_table);
	free(section);
}
END_TEST

TCase *manual_tests(void)
{
	TCase *tests = tcase_create("manual pages");

	tcase_add_loop_test(tests, the_manual_page_lists_the_options_and_no_others, 0,
			    sizeof(pages) / sizeof(pages[0]));
	return tests;
}
