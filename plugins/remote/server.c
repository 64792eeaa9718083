/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "server.h"

/* libnbd writes "nbd_function: what went wrong". */
void remote_server_reason(char reason[REMOTE_REASON_BYTES])
{
	const char *text = nbd_get_error();
	size_t skip = 0;

	if (text == NULL || text[0] == '\0')
		text = "the server closed the connection";
	if (strncmp(text, "nbd_", 4) == 0) {
		while (isalnum((unsigned char)text[skip]) || text[skip] == '_')
			skip++;
		if (strncmp(text + skip, ": ", 2) == 0)
			text += skip + 2;
	}
	snprintf(reason, REMOTE_REASON_BYTES, "%s", text);
	for (char *position = reason; *position != '\0'; position++)
		if (iscntrl((unsigned char)*position))
			*position = ' '; /* the server may have a say in it */
}

/* ---- Connecting ---------------------------------------------------------------------------------------------------- */

static bool configure(struct nbd_handle *nbd, const struct remote_settings *settings)
{
	return nbd_set_uri_allow_transports(nbd, LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX) == 0 &&
	       nbd_set_uri_allow_local_file(nbd, false) == 0 &&
	       nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0 &&
	       (settings->tls_certificates == NULL ||
		nbd_set_tls_certificates(nbd, settings->tls_certificates) == 0) &&
	       (settings->tls_psk_file == NULL || nbd_set_tls_psk_file(nbd, settings->tls_psk_file) == 0) &&
	       (settings->tls_username == NULL || nbd_set_tls_username(nbd, settings->tls_username) == 0);
}

struct nbd_handle *remote_server_start(const struct remote_settings *settings, char reason[REMOTE_REASON_BYTES])
{
	struct nbd_handle *nbd = nbd_create();

	if (nbd != NULL && configure(nbd, settings) && nbd_aio_connect_uri(nbd, settings->uri) == 0)
		return nbd;
	remote_server_reason(reason);
	nbd_close(nbd);
	return NULL;
}

uint32_t remote_server_wants(struct nbd_handle *nbd)
{
	const unsigned direction = nbd_aio_get_direction(nbd);

	return (direction & LIBNBD_AIO_DIRECTION_READ ? TGTKIT_FD_READ : 0) |
	       (direction & LIBNBD_AIO_DIRECTION_WRITE ? TGTKIT_FD_WRITE : 0);
}

bool remote_server_is_gone(struct nbd_handle *nbd)
{
	/* It also goes back to the beginning when no address would have it. */
	return nbd_aio_is_dead(nbd) || nbd_aio_is_closed(nbd) || nbd_aio_is_created(nbd);
}

bool remote_server_notify(struct nbd_handle *nbd, uint32_t events, char reason[REMOTE_REASON_BYTES])
{
	const uint32_t wants = remote_server_wants(nbd);
	int status = 0;

	/* An error shows in whatever libnbd does next. */
	if (events & TGTKIT_FD_ERROR)
		events |= wants;
	if (events & wants & TGTKIT_FD_READ)
		status = nbd_aio_notify_read(nbd);
	else if (events & wants & TGTKIT_FD_WRITE)
		status = nbd_aio_notify_write(nbd);
	if (status == 0 && !remote_server_is_gone(nbd))
		return true;
	remote_server_reason(reason);
	return false;
}

static short poll_events(uint32_t events)
{
	return (short)((events & TGTKIT_FD_READ ? POLLIN : 0) | (events & TGTKIT_FD_WRITE ? POLLOUT : 0));
}

static uint32_t fd_events(short events)
{
	return (events & POLLIN ? TGTKIT_FD_READ : 0u) | (events & POLLOUT ? TGTKIT_FD_WRITE : 0u) |
	       (events & (POLLERR | POLLHUP | POLLNVAL) ? TGTKIT_FD_ERROR : 0u);
}

enum { UNTIL_READY, UNTIL_GONE };

/* False with `reason`: it is gone, or this takes too long. */
static bool wait_until(int what, struct nbd_handle *nbd, uint64_t until_ns, char reason[REMOTE_REASON_BYTES])
{
	while (what == UNTIL_GONE || !nbd_aio_is_ready(nbd)) {
		struct pollfd descriptor = {.fd = nbd_aio_get_fd(nbd), .events = poll_events(remote_server_wants(nbd))};
		const uint64_t now = remote_now_ns();

		if (remote_server_is_gone(nbd)) {
			remote_server_reason(reason);
			return false;
		}
		if (now >= until_ns) {
			snprintf(reason, REMOTE_REASON_BYTES, "the server does not answer");
			return false;
		}
		if (poll(&descriptor, 1, (int)((until_ns - now) / 1000000u) + 1) > 0 &&
		    !remote_server_notify(nbd, fd_events(descriptor.revents), reason))
			return false;
	}
	return true;
}

int remote_server_connect(const struct remote_settings *settings, uint64_t timeout_ns, struct nbd_handle **nbd,
			  struct tgtkit_error *error)
{
	char reason[REMOTE_REASON_BYTES];
	int errno_value = ETIMEDOUT;

	*nbd = remote_server_start(settings, reason);
	if (*nbd != NULL && wait_until(UNTIL_READY, *nbd, remote_now_ns() + timeout_ns, reason))
		return 0;
	if (*nbd == NULL || remote_server_is_gone(*nbd))
		errno_value = nbd_get_errno() > 0 ? nbd_get_errno() : ECONNRESET;
	nbd_close(*nbd);
	*nbd = NULL;
	return remote_fail(error, errno_value, "no connection to the server: %s", reason);
}

void remote_server_end(struct nbd_handle *nbd)
{
	char reason[REMOTE_REASON_BYTES];

	if (nbd != NULL && nbd_aio_is_ready(nbd) && nbd_aio_disconnect(nbd, 0) == 0)
		wait_until(UNTIL_GONE, nbd, remote_now_ns() + NS_PER_S, reason);
	nbd_close(nbd);
}

/* ---- The export ---------------------------------------------------------------------------------------------------- */

#define DEFAULT_MAXIMUM_TRANSFER_BYTES (32u << 20) /* what every server takes, says the protocol */
#define LARGEST_PHYSICAL_BLOCK_BYTES   (64u << 10)
/* Of one trim, or of one zero that is fast. */
#define MAXIMUM_RANGE_BYTES (1u << 30)

static uint32_t block_size(struct nbd_handle *nbd, int kind)
{
	const int64_t size = nbd_get_block_size(nbd, kind);

	return size <= 0 || size > UINT32_MAX ? 0 : (uint32_t)size;
}

bool remote_export_read(struct nbd_handle *nbd, struct remote_export *export, char reason[REMOTE_REASON_BYTES])
{
	const int64_t size = nbd_get_size(nbd);
	const uint32_t maximum = block_size(nbd, LIBNBD_SIZE_MAXIMUM);

	if (size <= 0) {
		snprintf(reason, REMOTE_REASON_BYTES, "the server says that the export has no bytes");
		if (size < 0)
			snprintf(reason, REMOTE_REASON_BYTES, "the server says that the export has 2^63 bytes or more");
		return false;
	}
	*export = (struct remote_export){
	    .size_bytes = (uint64_t)size,
	    .minimum_block_bytes = block_size(nbd, LIBNBD_SIZE_MINIMUM),
	    .preferred_block_bytes = block_size(nbd, LIBNBD_SIZE_PREFERRED),
	    .maximum_transfer_bytes = maximum == 0 || maximum > DEFAULT_MAXIMUM_TRANSFER_BYTES
					  ? DEFAULT_MAXIMUM_TRANSFER_BYTES
					  : maximum,
	    .read_only = nbd_is_read_only(nbd) > 0,
	    .rotational = nbd_is_rotational(nbd) > 0,
	    .multi_conn = nbd_can_multi_conn(nbd) > 0,
	    .can_flush = nbd_can_flush(nbd) > 0,
	    .can_fua = nbd_can_fua(nbd) > 0,
	    .can_trim = nbd_can_trim(nbd) > 0,
	    .can_zero = nbd_can_zero(nbd) > 0,
	    .can_fast_zero = nbd_can_fast_zero(nbd) > 0,
	    .can_extents = nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0,
	};
	return true;
}

static bool refuse(char reason[REMOTE_REASON_BYTES], const char *what)
{
	snprintf(reason, REMOTE_REASON_BYTES, "the export is not what it was when the unit was opened: %s", what);
	return false;
}

/* More than before does no harm, but a size of its own is another disk. */
bool remote_export_fits(const struct remote_export *before, const struct remote_export *now,
			char reason[REMOTE_REASON_BYTES])
{
	char what[80];

	if (now->size_bytes != before->size_bytes) {
		snprintf(what, sizeof(what), "%llu bytes instead of %llu", (unsigned long long)now->size_bytes,
			 (unsigned long long)before->size_bytes);
		return refuse(reason, what);
	}
	if (now->read_only && !before->read_only)
		return refuse(reason, "it is read-only now");
	if (now->minimum_block_bytes > before->minimum_block_bytes && now->minimum_block_bytes > 1)
		return refuse(reason, "its minimum block is larger now");
	if (now->maximum_transfer_bytes < before->maximum_transfer_bytes)
		return refuse(reason, "it takes only smaller requests now");
	if ((before->can_flush && !now->can_flush) || (before->can_fua && !now->can_fua) ||
	    (before->can_trim && !now->can_trim) || (before->can_zero && !now->can_zero) ||
	    (before->can_fast_zero && !now->can_fast_zero) || (before->can_extents && !now->can_extents) ||
	    (before->multi_conn && !now->multi_conn))
		return refuse(reason, "an operation that it had is missing now");
	return true;
}

static uint32_t export_flags(const struct remote_export *export, const struct tgtkit_open_args *args)
{
	uint32_t flags = 0;

	if (export->read_only || (args->flags & TGTKIT_OPEN_READ_ONLY))
		flags |= TGTKIT_READ_ONLY;
	if (export->can_flush)
		flags |= TGTKIT_CAN_FLUSH | TGTKIT_VOLATILE_CACHE;
	if (export->can_fua)
		flags |= TGTKIT_CAN_FUA;
	if (export->can_trim && !export->read_only)
		flags |= TGTKIT_CAN_DISCARD;
	/* The host zeroes whole logical blocks, the server only its own. */
	if (export->can_zero && !export->read_only && export->minimum_block_bytes <= args->logical_block_bytes)
		flags |= TGTKIT_CAN_ZERO;
	if (export->can_extents)
		flags |= TGTKIT_CAN_EXTENTS;
	if (export->rotational)
		flags |= TGTKIT_ROTATIONAL;
	return flags;
}

void remote_export_measure(const struct remote_export *export, const struct tgtkit_open_args *args,
			   struct tgtkit_capabilities *capabilities)
{
	const uint32_t block = export->minimum_block_bytes == 0 ? 1 : export->minimum_block_bytes;

	capabilities->flags = export_flags(export, args);
	capabilities->offset_alignment_bytes = block;
	capabilities->size_bytes = export->size_bytes / block * block;
	if (export->preferred_block_bytes <= LARGEST_PHYSICAL_BLOCK_BYTES)
		capabilities->physical_block_bytes = export->preferred_block_bytes;
	capabilities->optimal_transfer_bytes = export->preferred_block_bytes;
	capabilities->maximum_transfer_bytes = export->maximum_transfer_bytes / block * block;
	capabilities->maximum_segments = 1;
	capabilities->maximum_discard_bytes = MAXIMUM_RANGE_BYTES;
	capabilities->discard_granularity_bytes = block == 1 ? 0 : block;
	capabilities->maximum_zero_bytes = export->can_fast_zero ? MAXIMUM_RANGE_BYTES : REMOTE_SLOW_ZERO_BYTES;
	capabilities->max_queues = 1;
}
