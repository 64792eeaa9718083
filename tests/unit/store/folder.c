/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/runner.h"

void folder_create(struct folder *folder)
{
	const char *parent = getenv("TMPDIR");

	snprintf(folder->path, sizeof(folder->path), "%s/store-test-XXXXXX", parent != NULL ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder->path));
}

void folder_remove(struct folder *folder)
{
	DIR *open_folder = opendir(folder->path);
	const struct dirent *entry;

	ck_assert_ptr_nonnull(open_folder);
	while ((entry = readdir(open_folder)) != NULL)
		unlinkat(dirfd(open_folder), entry->d_name, 0);
	closedir(open_folder);
	ck_assert_int_eq(rmdir(folder->path), 0);
}

const char *folder_file(const struct folder *folder, const char *name)
{
	static char paths[2][FOLDER_PATH_BYTES];
	static unsigned next;
	char *path = paths[next++ % 2];

	snprintf(path, FOLDER_PATH_BYTES, "%s/%s", folder->path, name);
	return path;
}

static const char *add_copy(const struct folder *folder, const char *name, const char *source)
{
	const char *path = folder_file(folder, name);
	FILE *from = fopen(source, "rb"), *to = fopen(path, "wb");
	char bytes[65536];
	size_t length;

	ck_assert_msg(from != NULL, "%s is missing", source);
	ck_assert_ptr_nonnull(to);
	while ((length = fread(bytes, 1, sizeof(bytes), from)) > 0)
		ck_assert_uint_eq(fwrite(bytes, 1, length, to), length);
	fclose(from);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	return path;
}

const char *folder_add_specimen(const struct folder *folder, const char *name)
{
	return add_copy(folder, name, TGTKIT_TEST_OBJECTS "/specimen.so");
}

const char *folder_add_stranger(const struct folder *folder, const char *name)
{
	return add_copy(folder, name, TGTKIT_TEST_OBJECTS "/stranger.so");
}

const char *folder_add_text(const struct folder *folder, const char *name, const char *text)
{
	const char *path = folder_file(folder, name);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0644), 0);
	return path;
}
