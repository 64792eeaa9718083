/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "posix_error.h"

int posix_error(struct tgtkit_error *error, int errno_value, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	errno = errno_value;
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	return -errno_value;
}

int posix_io_status(int errno_value)
{
	switch (errno_value) {
	case EDQUOT:
	case EFBIG: /* a limit of the process or of the file system */
		return -ENOSPC;
	case ENODATA: /* the block layer's critical medium error */
	case EILSEQ:  /* its protection error */
#ifdef EUCLEAN
	case EUCLEAN: /* a damaged file system */
#endif
	case EAGAIN: /* would mean "not taken" to the host */
	case 0:
		return -EIO;
	case ENOLINK: /* its transport error */
		return -EHOSTUNREACH;
	case ENXIO: /* the device has gone */
	case ENODEV:
		return -ESHUTDOWN;
	default:
		return -errno_value;
	}
}
