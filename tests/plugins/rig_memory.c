/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

#define PAGE 4096u

static uint64_t pages_of(uint64_t length)
{
	return (length + PAGE - 1) / PAGE;
}

static int map_file(int fd, uint64_t length, char **bytes)
{
	void *address;

	if (ftruncate(fd, (off_t)length) != 0)
		return -errno;
	address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (address == MAP_FAILED)
		return -errno;
	*bytes = address;
	return 0;
}

static int open_file(const char *backing, uint64_t *length)
{
	struct stat seen;
	int fd;

	if (backing == NULL || backing[0] == '\0')
		return memfd_create("tgtkit-rig", MFD_CLOEXEC);
	fd = open(backing, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* What was resized stays so. */
	if (fd >= 0 && fstat(fd, &seen) == 0 && (uint64_t)seen.st_size > *length)
		*length = (uint64_t)seen.st_size;
	return fd;
}

static int add_cache(struct rig_memory *memory)
{
	int status;

	memory->stable_fd = memory->fd;
	memory->stable = memory->bytes;
	memory->bytes = NULL;
	memory->fd = memfd_create("tgtkit-rig-cache", MFD_CLOEXEC);
	if (memory->fd < 0)
		return -errno;
	status = map_file(memory->fd, memory->length, &memory->bytes);
	if (status != 0)
		return status;
	memory->dirty = calloc(1, pages_of(memory->length));
	if (memory->dirty == NULL)
		return -ENOMEM;
	memcpy(memory->bytes, memory->stable, memory->length);
	return 0;
}

int rig_memory_open(struct rig_memory *memory, const char *backing, uint64_t length, bool is_volatile)
{
	int status;

	*memory = (struct rig_memory){.stable_fd = -1};
	memory->fd = open_file(backing, &length);
	if (memory->fd < 0)
		return -errno;
	memory->length = length;
	status = map_file(memory->fd, length, &memory->bytes);
	if (status == 0 && is_volatile)
		status = add_cache(memory);
	if (status != 0)
		rig_memory_close(memory);
	return status;
}

void rig_memory_close(struct rig_memory *memory)
{
	if (memory->bytes != NULL)
		munmap(memory->bytes, memory->length);
	if (memory->stable != NULL)
		munmap(memory->stable, memory->length);
	if (memory->fd >= 0)
		close(memory->fd);
	if (memory->stable_fd >= 0)
		close(memory->stable_fd);
	free(memory->dirty);
}

static int remap(int fd, char **bytes, uint64_t old_length, uint64_t length)
{
	char *old = *bytes;
	int status = map_file(fd, length, bytes);

	if (status == 0)
		munmap(old, old_length);
	return status;
}

int rig_memory_resize(struct rig_memory *memory, uint64_t length)
{
	const uint64_t old_length = memory->length, old_pages = pages_of(old_length), pages = pages_of(length);
	uint8_t *dirty;
	int status;

	if (length == 0 || length > INT64_MAX)
		return -EINVAL;
	if (memory->stable != NULL) {
		dirty = realloc(memory->dirty, pages > old_pages ? pages : old_pages);
		if (dirty == NULL)
			return -ENOMEM;
		memory->dirty = dirty;
		if (pages > old_pages)
			memset(dirty + old_pages, 0, pages - old_pages);
		status = remap(memory->stable_fd, &memory->stable, old_length, length);
		if (status != 0)
			return status;
	}
	status = remap(memory->fd, &memory->bytes, old_length, length);
	if (status == 0)
		memory->length = length;
	return status;
}

int rig_memory_zero(struct rig_memory *memory, uint64_t offset, uint64_t length)
{
	if (fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) != 0)
		return -errno;
	rig_memory_touch(memory, offset, length);
	return 0;
}

void rig_memory_touch(struct rig_memory *memory, uint64_t offset, uint64_t length)
{
	if (memory->stable != NULL && length > 0)
		memset(memory->dirty + offset / PAGE, 1, pages_of(offset + length) - offset / PAGE);
}

void rig_memory_stabilise(struct rig_memory *memory, uint64_t offset, uint64_t length)
{
	if (memory->stable == NULL)
		return;
	for (uint64_t page = offset / PAGE; page < pages_of(offset + length); page++) {
		const uint64_t start = page * PAGE, rest = memory->length - start;

		if (!memory->dirty[page])
			continue;
		memcpy(memory->stable + start, memory->bytes + start, rest < PAGE ? rest : PAGE);
		memory->dirty[page] = 0;
	}
}

void rig_memory_forget_dirty(struct rig_memory *memory)
{
	if (memory->stable != NULL)
		memset(memory->dirty, 0, pages_of(memory->length));
}

void rig_memory_power_cut(struct rig_memory *memory)
{
	if (memory->stable == NULL)
		return;
	memcpy(memory->bytes, memory->stable, memory->length);
	rig_memory_forget_dirty(memory);
}

int rig_memory_extents(const struct rig_memory *memory, struct tgtkit_request *request)
{
	const uint64_t end = request->offset + request->length;
	uint64_t offset = request->offset;
	uint32_t count;

	for (count = 0; count < request->extents_capacity && offset < end; count++) {
		const off_t data = lseek(memory->fd, (off_t)offset, SEEK_DATA);
		const bool is_hole = data < 0 || (uint64_t)data > offset;
		const off_t next = is_hole ? data : lseek(memory->fd, (off_t)offset, SEEK_HOLE);
		const uint64_t until = next < 0 || (uint64_t)next > end ? end : (uint64_t)next;

		request->extents[count] = (struct tgtkit_extent){
		    .offset = offset,
		    .length = until - offset,
		    .flags = is_hole ? TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO : TGTKIT_EXTENT_DATA,
		};
		offset = until;
	}
	request->extents_count = count;
	return 0;
}
