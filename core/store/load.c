/* SPDX-License-Identifier: Apache-2.0 */
#include "store/load.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/abi.h"
#include "store/host.h"
#include "store/verify.h"

#define SUFFIX		     ".so"
#define MAXIMUM_FILE_MESSAGE 512
#define MAXIMUM_DESCRIPTION  480

typedef const struct tgtkit_plugin *(*entry_point)(const struct tgtkit_host *host);

/* A file whose entry point was called.  Never freed: the code stays mapped too. */
struct loaded {
	struct loaded *next;
	dev_t device;
	ino_t inode;
	const struct tgtkit_plugin *descriptor; /* the plugin's own */
	struct store_abi_descriptor known;	/* what is used of it; fixed once it is taken */
	bool is_taken;
};

static struct loaded *all_loaded;
static _Thread_local const char *current_file;

const char *store_load_current_file(void)
{
	return current_file;
}

static int __attribute__((format(printf, 3, 4))) refuse(char *error, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, STORE_ERROR_BYTES, format, arguments);
	va_end(arguments);
	return status;
}

size_t store_load_name_length(const char *file_name)
{
	size_t length = strlen(file_name), suffix = strlen(SUFFIX);

	if (length <= suffix || file_name[0] == '.' || strcmp(file_name + length - suffix, SUFFIX) != 0)
		return 0;
	return length - suffix;
}

/* ---- Trust: whoever can write here can run code as the daemon ---------------------------------------------------- */

static int trust_status(const char *path, const struct stat *status, char *error)
{
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return refuse(error, -EPERM, "%.*s: owned by user %u; it must belong to root or to the daemon's user",
			      MAXIMUM_FILE_MESSAGE, path, (unsigned)status->st_uid);
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return refuse(error, -EPERM, "%.*s: others than its owner can write it (mode %04o); use chmod go-w",
			      MAXIMUM_FILE_MESSAGE, path, (unsigned)(status->st_mode & 07777));
	return 0;
}

int store_load_trust_folder(const char *folder, char error[static STORE_ERROR_BYTES])
{
	struct stat status;

	if (stat(folder, &status) != 0)
		return refuse(error, -errno, "%.*s: %s", MAXIMUM_FILE_MESSAGE, folder, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return refuse(error, -ENOTDIR, "%.*s: not a folder", MAXIMUM_FILE_MESSAGE, folder);
	return trust_status(folder, &status, error);
}

/* `path` has no symbolic link in it, so that its folder is the one that counts. */
static int trust_file(const char *path, struct stat *status, char *error)
{
	char *folder;
	int result;

	if (stat(path, status) != 0)
		return refuse(error, -errno, "%.*s: %s", MAXIMUM_FILE_MESSAGE, path, strerror(errno));
	if (!S_ISREG(status->st_mode))
		return refuse(error, -EINVAL, "%.*s: not a regular file", MAXIMUM_FILE_MESSAGE, path);
	result = trust_status(path, status, error);
	if (result != 0)
		return result;
	folder = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	if (folder == NULL)
		return refuse(error, -ENOMEM, "no memory");
	result = store_load_trust_folder(folder, error);
	free(folder);
	return result;
}

/* ---- Loading ------------------------------------------------------------------------------------------------------
 */

/* The dynamic linker's own message for these is hard to read. */
static int check_elf(const char *path, char *error)
{
	unsigned char identity[EI_NIDENT] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return refuse(error, -errno, "%.*s: %s", MAXIMUM_FILE_MESSAGE, path, strerror(errno));
	got = read(fd, identity, sizeof(identity));
	close(fd);
	if (got != (ssize_t)sizeof(identity) || memcmp(identity, ELFMAG, SELFMAG) != 0)
		return refuse(error, -ENOEXEC, "%.*s: not a plugin: no ELF shared object", MAXIMUM_FILE_MESSAGE, path);
	return 0;
}

static struct loaded *find_loaded(const struct stat *status)
{
	for (struct loaded *loaded = all_loaded; loaded != NULL; loaded = loaded->next) {
		if (loaded->device == status->st_dev && loaded->inode == status->st_ino)
			return loaded;
	}
	return NULL;
}

static entry_point find_entry_point(const char *path, char *error)
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	entry_point entry;

	if (object == NULL) {
		refuse(error, -ENOEXEC, "%.*s: cannot be loaded: %.*s", MAXIMUM_FILE_MESSAGE, path, MAXIMUM_DESCRIPTION,
		       dlerror());
		return NULL;
	}
	entry = (entry_point)dlsym(object, TGTKIT_PLUGIN_SYMBOL);
	if (entry == NULL) {
		refuse(error, -ENOEXEC, "%.*s: not a plugin of version %d: it has no symbol %s", MAXIMUM_FILE_MESSAGE,
		       path, TGTKIT_ABI_MAJOR, TGTKIT_PLUGIN_SYMBOL);
		dlclose(object);
	}
	return entry;
}

static struct loaded *load(const char *path, const struct stat *status, char *error)
{
	struct loaded *loaded = calloc(1, sizeof(*loaded));
	entry_point entry;

	if (loaded == NULL) {
		refuse(error, -ENOMEM, "no memory");
		return NULL;
	}
	entry = find_entry_point(path, error);
	if (entry == NULL) {
		free(loaded);
		return NULL;
	}
	current_file = path;
	loaded->descriptor = entry(store_host());
	current_file = NULL;
	loaded->device = status->st_dev;
	loaded->inode = status->st_ino;
	loaded->next = all_loaded;
	all_loaded = loaded;
	return loaded;
}

static int load_and_verify(const char *path, const char *name, const struct tgtkit_plugin **descriptor, char *error)
{
	struct loaded *loaded;
	char reason[STORE_ERROR_BYTES];
	struct stat status;
	int result = trust_file(path, &status, error);

	if (result == 0)
		result = check_elf(path, error);
	if (result != 0)
		return result;
	loaded = find_loaded(&status);
	if (loaded == NULL)
		loaded = load(path, &status, error);
	if (loaded == NULL)
		return -ENOEXEC;
	if (loaded->descriptor == NULL)
		return refuse(error, -ENODEV, "%.*s: the plugin says that it cannot work here", MAXIMUM_FILE_MESSAGE,
			      path);
	if (!loaded->is_taken)
		result = store_abi_take(loaded->descriptor, &loaded->known, reason, sizeof(reason));
	loaded->is_taken |= result == 0;
	if (result == 0)
		result = store_verify_descriptor(&loaded->known.plugin, name, reason);
	if (result != 0)
		return refuse(error, result, "%.*s: %.*s", MAXIMUM_FILE_MESSAGE, path, MAXIMUM_DESCRIPTION, reason);
	*descriptor = &loaded->known.plugin;
	return 0;
}

int store_load_file(const char *file, const struct tgtkit_plugin **descriptor, char error[static STORE_ERROR_BYTES])
{
	const char *slash = strrchr(file, '/');
	const char *file_name = slash != NULL ? slash + 1 : file;
	size_t name_length = store_load_name_length(file_name);
	char *path, *name;
	int status;

	if (name_length == 0)
		return refuse(error, -EINVAL, "%.*s: a plugin's file is called NAME" SUFFIX, MAXIMUM_FILE_MESSAGE,
			      file);
	path = realpath(file, NULL);
	if (path == NULL)
		return refuse(error, -errno, "%.*s: %s", MAXIMUM_FILE_MESSAGE, file, strerror(errno));
	name = strndup(file_name, name_length);
	if (name == NULL)
		status = refuse(error, -ENOMEM, "no memory");
	else
		status = load_and_verify(path, name, descriptor, error);
	free(name);
	free(path);
	return status;
}
