/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/journal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_PATH "/run/systemd/journal/socket"
/* All fields together: a message of the longest, escaped, and names of the longest. */
#define DATAGRAM_BYTES 8192u

struct datagram {
	char text[DATAGRAM_BYTES];
	size_t length;
};

/* KEY=VALUE and a newline, which is why control bytes, of which peers choose some, become question marks.  A field that
 * finds no room is left away. */
static void add_field(struct datagram *datagram, const char *key, const char *value)
{
	char *to = datagram->text + datagram->length;
	size_t room = sizeof(datagram->text) - datagram->length;
	int length;

	if (!value || !*value)
		return;
	length = snprintf(to, room, "%s=%s\n", key, value);
	if (length < 0 || (size_t)length >= room)
		return;
	for (int i = 0; i < length - 1; i++)
		if ((unsigned char)to[i] < 0x20 || to[i] == 0x7f)
			to[i] = '?';
	datagram->length += (size_t)length;
}

static void add_object(struct datagram *datagram, const struct rt_log_object *object)
{
	char number[16];

	add_field(datagram, "TGTKIT_TARGET", object->target);
	add_field(datagram, "TGTKIT_UNIT", object->unit);
	add_field(datagram, "TGTKIT_INITIATOR", object->initiator);
	add_field(datagram, "TGTKIT_ADDRESS", object->address);
	add_field(datagram, "TGTKIT_PLUGIN", object->plugin);
	if (object->has_lun) {
		snprintf(number, sizeof(number), "%u", object->lun);
		add_field(datagram, "TGTKIT_LUN", number);
	}
}

/* One for the process, made when it is first needed.  Negative: there is none. */
static int journal_socket(void)
{
	static atomic_int shared = -1;
	int fd = atomic_load(&shared), none = -1;

	if (fd >= 0)
		return fd;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || atomic_compare_exchange_strong(&shared, &none, fd))
		return fd;
	close(fd);
	return none;
}

bool rt_journal_send(int priority, const struct rt_log_object *object, const char *message)
{
	static const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
	const int fd = journal_socket();
	struct datagram datagram;
	char number[16];
	ssize_t sent;

	if (fd < 0)
		return false;
	datagram.length = 0;
	snprintf(number, sizeof(number), "%d", priority);
	add_field(&datagram, "MESSAGE", message);
	add_field(&datagram, "PRIORITY", number);
	add_field(&datagram, "SYSLOG_IDENTIFIER", "tgtkitd");
	add_object(&datagram, object);
	do
		sent = sendto(fd, datagram.text, datagram.length, MSG_NOSIGNAL, (const struct sockaddr *)&journal,
			      sizeof(journal));
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)datagram.length;
}
