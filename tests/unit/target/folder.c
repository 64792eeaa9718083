/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/target/folder.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char folder[64];

void folder_make(void)
{
	snprintf(folder, sizeof(folder), "/tmp/tgtkit-target-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_all(const char *path)
{
	DIR *entries = opendir(path);
	struct dirent *entry;
	char inner[512];

	while (entries && (entry = readdir(entries))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (unlink(inner))
			remove_all(inner);
	}
	if (entries)
		closedir(entries);
	rmdir(path);
}

void folder_remove(void)
{
	remove_all(folder);
}

const char *folder_path(const char *name)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

void folder_write(const char *name, const char *text)
{
	FILE *file = fopen(folder_path(name), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

const char *folder_read(const char *name)
{
	static char text[65536];
	FILE *file = fopen(folder_path(name), "r");
	size_t length;

	ck_assert_msg(file != NULL, "%s is not there", name);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	return text;
}
