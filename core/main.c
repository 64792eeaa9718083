/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkitd: options, start-up, signals, and the end.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "config/load.h"
#include "daemonise.h"
#include "mgmt/mgmt.h"
#include "options.h"
#include "rt/log.h"
#include "rt/worker.h"
#include "store/pool.h"
#include "target/check.h"
#include "target/model.h"

#define POOL_STOP_MS 1000u

struct tgtkitd {
	struct tgtkitd_options options;
	struct target_configuration *configuration;
	struct rt_loop *control;
	struct rt_fd signals;
	struct target_model *model;
	struct mgmt *mgmt;
	enum { STARTING, SERVING, STOPPING } phase;
	bool has_stopped;
	int exit_status;
};

static void notify_service_manager(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

/* For when threads are stuck in a backend: nothing may be freed under them. */
static void __attribute__((noreturn)) end_at_once(int status)
{
	daemonise_end();
	_exit(status);
}

/* ---- The configuration ---------------------------------------------------------------------------------------- */

static void report_to_stderr(void *context, const char *line)
{
	(void)context;
	fprintf(stderr, "%s\n", line);
}

static void report_to_log(void *context, const char *line)
{
	(void)context;
	rt_log(RT_LOG_ERROR, "%s", line);
}

/* At the start, and (on a thread of the pool) at each reload. */
static void read_configuration(void *context, struct target_configuration *configuration,
			       struct spec_problems *problems)
{
	const struct tgtkitd_options *options = &((struct tgtkitd *)context)->options;
	const struct conf_command_line line = {
	    .listen = options->listen,
	    .listen_count = options->listen_count,
	    .target = options->target,
	    .paths = options->paths,
	    .path_count = options->path_count,
	};

	conf_init(configuration);
	if (options->config_file)
		conf_read_file(options->config_file, configuration, problems);
	else
		conf_from_command_line(&line, configuration, problems);
	for (size_t i = 0; i < options->setting_count; i++)
		conf_set(options->settings[i], configuration, problems);
}

static void report_warning(void *context, const char *line)
{
	(void)context;
	rt_log(RT_LOG_WARNING, "%s", line);
}

/* What the API made in an earlier life comes on top.  A check looks at the administrator's own only. */
static struct target_configuration *add_kept_state(struct tgtkitd *self, struct target_configuration *base,
						   struct spec_problems *problems)
{
	struct spec_problems warnings = {.report = report_warning};
	struct target_configuration *own = target_configuration_new();

	conf_init(own);
	own->text = "";
	if (!self->options.check)
		conf_read_state(base->daemon.state_dir, own, problems);
	target_configuration_merge(own, base, &warnings);
	return own;
}

/* Reads, loads the plugins, checks.  0, or EXIT_FAILURE after every problem has been reported.  A check alone says what
 * is wrong, and nothing else unless asked. */
static int load_configuration(struct tgtkitd *self, struct spec_problems *problems)
{
	struct target_configuration *base = target_configuration_new();
	const struct daemon_spec *daemon;
	enum rt_log_level level;

	read_configuration(self, base, problems);
	if (!problems->count)
		self->configuration = add_kept_state(self, base, problems);
	target_configuration_drop(base);
	if (problems->count)
		return EXIT_FAILURE;
	daemon = &self->configuration->daemon;
	if (!rt_log_level_parse(daemon->log_level, &level))
		rt_log_set_level(self->options.check && level == RT_LOG_INFO ? RT_LOG_WARNING : level);
	store_plugins_scan(daemon->plugin_dirs, daemon->plugin_dir_count);
	target_check(self->configuration, problems);
	return problems->count ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int check(struct tgtkitd *self)
{
	struct spec_problems problems = {.report = report_to_stderr};

	if (!load_configuration(self, &problems))
		target_check_stores(self->configuration, &problems);
	target_configuration_drop(self->configuration);
	return problems.count ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The process ends after it: whatever the file does when it is loaded, it does to nobody else. */
static int check_plugin(const char *file)
{
	char error[STORE_ERROR_BYTES], path[PATH_MAX];

	rt_log_set_level(RT_LOG_WARNING);
	if (!realpath(file, path)) {
		fprintf(stderr, "%s: %s\n", file, strerror(errno));
		return EXIT_FAILURE;
	}
	if (!store_plugins_check_file(path, error))
		return EXIT_SUCCESS;
	fprintf(stderr, "%s\n", error);
	return EXIT_FAILURE;
}

/* ---- Signals -------------------------------------------------------------------------------------------------- */

static void model_stopped(void *context, enum target_stop_result result)
{
	struct tgtkitd *self = context;

	if (result == TARGET_STUCK)
		end_at_once(self->exit_status ? self->exit_status : EXIT_LOSS);
	if (result == TARGET_STUCK_OPENING)
		end_at_once(self->exit_status);
	if (result == TARGET_STOPPED_WITH_LOSS)
		self->exit_status = EXIT_LOSS;
	self->has_stopped = true;
	rt_loop_stop(self->control);
}

static void no_change_under_way(void *context)
{
	struct tgtkitd *self = context;

	target_model_stop(self->model, model_stopped, self);
}

static void stop(struct tgtkitd *self)
{
	self->phase = STOPPING;
	notify_service_manager("STOPPING=1");
	mgmt_stop(self->mgmt, no_change_under_way, self);
}

static void terminate(struct tgtkitd *self, const char *signal_name)
{
	static bool asked_before;

	if (asked_before) {
		rt_log(RT_LOG_ERROR,
		       "a second signal (SIG%s): ending at once; writes that were not flushed may be lost",
		       signal_name);
		end_at_once(EXIT_LOSS);
	}
	asked_before = true;
	rt_log(RT_LOG_INFO, "SIG%s: stopping", signal_name);
	if (self->phase == STARTING)
		target_model_cancel_start(self->model);
	else if (self->phase == SERVING)
		stop(self);
}

static void reload(struct tgtkitd *self)
{
	if (self->phase != SERVING) {
		rt_log(RT_LOG_WARNING, "SIGHUP: the daemon is starting or stopping; nothing is reloaded");
		return;
	}
	rt_log(RT_LOG_INFO, "SIGHUP: reading the configuration anew");
	mgmt_reload(self->mgmt);
}

/* From one level to the next more talkative one; after debug comes info again. */
static void raise_log_level(void)
{
	enum rt_log_level level = rt_log_level();

	level = level == RT_LOG_DEBUG ? RT_LOG_INFO : level + 1;
	rt_log_set_level(level);
	rt_log(level, "SIGUSR1: the log level is %s now", rt_log_level_name(level));
}

static void signal_arrived(struct rt_fd *watched, uint32_t events)
{
	struct tgtkitd *self = RT_CONTAINER_OF(watched, struct tgtkitd, signals);
	struct signalfd_siginfo signal;

	(void)events;
	if (read(watched->fd, &signal, sizeof(signal)) != sizeof(signal))
		return;
	if (signal.ssi_signo == SIGHUP)
		reload(self);
	else if (signal.ssi_signo == SIGUSR1)
		raise_log_level();
	else
		terminate(self, sigabbrev_np((int)signal.ssi_signo));
}

/* Before any thread is started: all of them inherit the mask. */
static void block_signals(sigset_t *handled)
{
	sigemptyset(handled);
	sigaddset(handled, SIGTERM);
	sigaddset(handled, SIGINT);
	sigaddset(handled, SIGHUP);
	sigaddset(handled, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, handled, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int watch_signals(struct tgtkitd *self, const sigset_t *handled)
{
	int fd = signalfd(-1, handled, SFD_CLOEXEC | SFD_NONBLOCK), status;

	if (fd < 0)
		return -errno;
	self->signals = (struct rt_fd){.fd = fd, .ready = signal_arrived};
	status = rt_fd_add(self->control, &self->signals, RT_FD_READ);
	if (status) {
		close(fd);
		self->signals.fd = -1;
	}
	return status;
}

/* ---- Serving -------------------------------------------------------------------------------------------------- */

static void model_started(void *context, int status)
{
	struct tgtkitd *self = context;

	if (status) {
		self->exit_status = status == -ECANCELED ? EXIT_SUCCESS : EXIT_FAILURE;
		stop(self);
		return;
	}
	self->phase = SERVING;
	if (mgmt_serve(self->mgmt)) {
		self->exit_status = EXIT_FAILURE;
		stop(self);
		return;
	}
	rt_log(RT_LOG_INFO, "tgtkitd " PACKAGE_VERSION " is ready");
	notify_service_manager("READY=1");
	daemonise_ready();
}

static int start_workers(const struct daemon_spec *daemon)
{
	const struct rt_workers_options options = {
	    .count = daemon->workers,
	    .busy_poll_us = daemon->busy_poll_us,
	    .memory_limit_bytes = daemon->memory_limit_bytes,
	};
	int status = rt_workers_start(&options);

	if (status)
		rt_log(RT_LOG_ERROR, "the workers cannot start: %s", strerror(-status));
	return status;
}

/* The model is there and the workers run: from here to their end. */
static void run(struct tgtkitd *self)
{
	target_model_start(self->model, model_started, self);
	if (!self->has_stopped)
		rt_loop_run(self->control);
	rt_workers_stop();
	if (store_pool_stop(POOL_STOP_MS))
		end_at_once(self->exit_status ? self->exit_status : EXIT_LOSS);
}

static int make_management(struct tgtkitd *self)
{
	const struct mgmt_options options = {
	    .control = self->control,
	    .model = self->model,
	    .read_configuration = read_configuration,
	    .context = self,
	};
	char error[MGMT_ERROR_BYTES];
	int status = mgmt_create(&options, &self->mgmt, error);

	if (status)
		rt_log(RT_LOG_ERROR, "%s", error);
	return status;
}

static int serve_on_loop(struct tgtkitd *self, const sigset_t *handled)
{
	char error[TARGET_ERROR_BYTES];
	int status = watch_signals(self, handled);

	if (status) {
		rt_log(RT_LOG_ERROR, "signals cannot be watched: %s", strerror(-status));
		return EXIT_FAILURE;
	}
	if (target_model_create(self->control, self->configuration, &self->model, error)) {
		rt_log(RT_LOG_ERROR, "%s", error);
		return EXIT_FAILURE;
	}
	if (make_management(self))
		self->exit_status = EXIT_FAILURE;
	else if (start_workers(&self->configuration->daemon))
		self->exit_status = EXIT_FAILURE;
	else
		run(self);
	mgmt_free(self->mgmt);
	target_model_free(self->model);
	return self->exit_status;
}

/* A connection is a descriptor, and the usual soft limit of 1024 exists for programs that use select. */
static void allow_many_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		rt_log(RT_LOG_WARNING, "the limit of open files cannot be raised: %s", strerror(errno));
}

static int serve(struct tgtkitd *self)
{
	struct spec_problems problems = {.report = report_to_log};
	sigset_t handled;
	int status;

	allow_many_descriptors();
	block_signals(&handled);
	if (load_configuration(self, &problems))
		status = EXIT_FAILURE;
	else if (rt_loop_create(&self->control, "control", 0))
		status = EXIT_FAILURE;
	else
		status = serve_on_loop(self, &handled);
	if (self->signals.fd >= 0) {
		rt_fd_remove(&self->signals);
		close(self->signals.fd);
	}
	if (self->control)
		rt_loop_destroy(self->control);
	target_configuration_drop(self->configuration);
	return status;
}

int main(int argc, char **argv)
{
	struct tgtkitd self = {.signals.fd = -1};
	int status;

	tgtkitd_options_parse(argc, argv, &self.options);
	if (self.options.check_plugin) {
		status = check_plugin(self.options.check_plugin);
	} else if (self.options.check) {
		status = check(&self);
	} else {
		if (!self.options.foreground)
			daemonise_fork();
		status = serve(&self);
	}
	daemonise_end();
	tgtkitd_options_free(&self.options);
	return status;
}
