/* SPDX-License-Identifier: Apache-2.0
 *
 * A load generator for iSCSI targets: no library between it and the sockets, so that the target is what is measured.
 * Prints one line of key=value pairs.  See usage() for the options.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

struct load_options load_options = {
    .read_percent = 100,
    .depth = 1,
    .sessions = 1,
    .seconds = 3,
    .warm_up_seconds = 0.5,
    .io_bytes = 4096,
};

void __attribute__((noreturn, format(printf, 1, 2))) load_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "iscsiload: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(2);
}

void *load_allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		load_fail("out of memory");
	return memory;
}

uint64_t load_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- Load ---- */

static void watch(struct session *session, int epoll_fd)
{
	struct epoll_event event = {.events = EPOLLIN | (session->waits_for_room ? EPOLLOUT : 0), .data.ptr = session};

	if (session->waits_for_room == session->watched_for_room)
		return;
	session->watched_for_room = session->waits_for_room;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, session->fd, &event);
}

/* Serves whatever is ready; a single polling session is asked directly, without epoll between. */
static void turn(struct session *sessions, int epoll_fd)
{
	struct epoll_event events[64];

	if (load_options.poll && load_options.sessions == 1) {
		load_serve(&sessions[0]);
		return;
	}
	int count = epoll_wait(epoll_fd, events, 64, load_options.poll ? 0 : 100);

	for (int i = 0; i < count; i++) {
		load_serve(events[i].data.ptr);
		watch(events[i].data.ptr, epoll_fd);
	}
}

static void run_until(struct session *sessions, int epoll_fd, uint64_t end_ns)
{
	while (load_now_ns() < end_ns)
		turn(sessions, epoll_fd);
}

static void run_to_the_end(struct session *sessions, int epoll_fd)
{
	while (!load_is_over())
		turn(sessions, epoll_fd);
}

static uint64_t seconds_ns(double seconds)
{
	return (uint64_t)(seconds * (double)NS_PER_S);
}

static void run_load(void)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct session *sessions = load_open_sessions(epoll_fd);

	if (load_options.ios)
		load_start_measuring();
	uint64_t cpu_ns = load_target_cpu_ns(), start_ns = load_now_ns();

	for (unsigned i = 0; i < load_options.sessions; i++)
		load_serve(&sessions[i]);
	if (load_options.ios) {
		run_to_the_end(sessions, epoll_fd);
	} else {
		run_until(sessions, epoll_fd, load_now_ns() + seconds_ns(load_options.warm_up_seconds));
		cpu_ns = load_target_cpu_ns();
		start_ns = load_now_ns();
		load_start_measuring();
		run_until(sessions, epoll_fd, start_ns + seconds_ns(load_options.seconds));
	}
	load_print_figures((double)(load_now_ns() - start_ns) / (double)NS_PER_S, load_target_cpu_ns() - cpu_ns);
}

/* ---- Logins ---- */

struct login_thread {
	pthread_t thread;
	unsigned number;
	uint64_t end_ns, logins;
};

static void log_out(struct session *session)
{
	uint8_t header[HEADER_BYTES] = {0x46, 0x80}; /* immediate: close the session */
	struct linger linger = {.l_onoff = 1};	     /* RST: a TIME_WAIT per login would use up the ports */
	char data[512];

	rt_put_be32(header + 24, session->cmd_sn);
	rt_put_be32(header + 28, session->exp_stat_sn);
	load_send_all(session->fd, header, sizeof(header));
	load_receive_pdu(session, header, data, sizeof(data));
	if ((header[0] & 0x3f) != 0x26)
		load_fail("a logout was answered by opcode %02xh", header[0] & 0x3f);
	setsockopt(session->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(session->fd);
}

static void *log_in_repeatedly(void *context)
{
	struct login_thread *self = context;
	struct session session = {0};

	for (; load_now_ns() < self->end_ns; self->logins++) {
		load_log_in(&session, self->number);
		log_out(&session);
	}
	return NULL;
}

static void run_logins(void)
{
	struct login_thread *threads = load_allocate(load_options.sessions, sizeof(*threads));
	uint64_t start_ns = load_now_ns(), cpu_ns = load_target_cpu_ns(), logins = 0;

	for (unsigned i = 0; i < load_options.sessions; i++) {
		threads[i] = (struct login_thread){.number = i, .end_ns = start_ns + seconds_ns(load_options.seconds)};
		if (pthread_create(&threads[i].thread, NULL, log_in_repeatedly, &threads[i]) != 0)
			load_fail("no thread");
	}
	for (unsigned i = 0; i < load_options.sessions; i++) {
		pthread_join(threads[i].thread, NULL);
		logins += threads[i].logins;
	}
	printf("logins_per_s=%.0f cpu_us_per_login=%.1f\n",
	       (double)logins * (double)NS_PER_S / (double)(load_now_ns() - start_ns),
	       logins ? (double)(load_target_cpu_ns() - cpu_ns) / (double)logins / 1e3 : 0);
	free(threads);
}

/* ---- Options ---- */

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: iscsiload [load_options] HOST PORT TARGET LUN\n"
			"  -r PERCENT  reads (100); the rest are writes, from a fixed load_pattern\n"
			"  -b BYTES    of one I/O (4096)       -u BYTES    of the LUN that are used (all)\n"
			"  -q DEPTH    per session (1)         -s COUNT    of sessions, or of login threads (1)\n"
			"  -t SECONDS  load_measured (3)            -w SECONDS  before that (0.5)\n"
			"  -n COUNT    of I/Os, instead of a time: measures all of them, flushes included\n"
			"  -f EVERY    so many I/Os a flush, alone, and one at the end of -n\n"
			"  -S          sequential, not random  -P          poll, never sleep\n"
			"  -p PID      of the target, for its CPU time\n"
			"  -L          measure logins (each with its logout) instead of I/O\n"
			"  -D          CRC32C header and data digests (for I/O)\n");
	exit(1);
}

static void read_options(int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "r:b:u:q:s:t:w:n:f:SPp:LD")) != -1;) {
		switch (option) {
		case 'r':
			load_options.read_percent = (unsigned)atoi(optarg);
			break;
		case 'b':
			load_options.io_bytes = (uint32_t)atoi(optarg);
			break;
		case 'u':
			load_options.span_bytes = strtoull(optarg, NULL, 0);
			break;
		case 'q':
			load_options.depth = (unsigned)atoi(optarg);
			break;
		case 's':
			load_options.sessions = (unsigned)atoi(optarg);
			break;
		case 't':
			load_options.seconds = atof(optarg);
			break;
		case 'w':
			load_options.warm_up_seconds = atof(optarg);
			break;
		case 'n':
			load_options.ios = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			load_options.flush_every = strtoull(optarg, NULL, 0);
			break;
		case 'S':
			load_options.sequential = true;
			break;
		case 'P':
			load_options.poll = true;
			break;
		case 'p':
			load_options.pid = (unsigned)atoi(optarg);
			break;
		case 'L':
			load_options.logins = true;
			break;
		case 'D':
			load_options.digests = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 4 || !load_options.depth || !load_options.sessions || !load_options.io_bytes ||
	    (load_options.digests && load_options.logins) ||
	    ((load_options.ios || load_options.flush_every) && load_options.sessions != 1))
		usage();
	load_options.host = argv[optind];
	load_options.port = argv[optind + 1];
	load_options.target = argv[optind + 2];
	load_options.lun = (unsigned)atoi(argv[optind + 3]);
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	if (load_options.logins)
		run_logins();
	else
		run_load();
	return load_errors() ? 1 : 0;
}
