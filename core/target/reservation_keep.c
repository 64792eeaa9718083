/* SPDX-License-Identifier: Apache-2.0 */
#include "target/reservation_keep.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "rt/log.h"

/* A configured serial may have any printable character, also those that a file name cannot. */
static void put_name(char *name, const char *serial)
{
	name += sprintf(name, "reservations.");
	for (; *serial; serial++)
		name += sprintf(name, isalnum((unsigned char)*serial) || *serial == '-' ? "%c" : "%%%02x",
				(unsigned char)*serial);
}

/* On the pool.  Once `done` has been posted, the next save may use the memory. */
static void save_on_pool(struct store_job *job)
{
	struct target_reservation_keep *keep = RT_CONTAINER_OF(job, struct target_reservation_keep, job);
	struct scsi_reservation_save *save = keep->save;
	char error[TARGET_ERROR_BYTES];

	if (save->text)
		save->status = target_state_write(keep->folder, keep->name, save->text, strlen(save->text), error);
	else
		save->status = target_state_remove(keep->folder, keep->name, error);
	if (save->status)
		rt_log(RT_LOG_ERROR, "%s", error);
	rt_loop_post(save->reply_to, &save->done);
}

void target_reservation_keep_init(struct target_reservation_keep *keep, const struct target_state_folder *folder,
				  const char *serial)
{
	*keep = (struct target_reservation_keep){.folder = folder, .job.run = save_on_pool};
	put_name(keep->name, serial);
}

int target_reservation_keep_read(const struct target_reservation_keep *keep, char **text,
				 char error[static TARGET_ERROR_BYTES])
{
	size_t length;

	*text = NULL;
	return keep->folder ? target_state_read(keep->folder, keep->name, text, &length, error) : 0;
}

void target_reservation_keep_save(void *context, struct scsi_reservation_save *save)
{
	struct target_reservation_keep *keep = context;

	keep->save = save;
	store_pool_submit_control(&keep->job);
}
