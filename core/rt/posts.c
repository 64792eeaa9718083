/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/loop_private.h"

#include <unistd.h>

/* A sender pushes, then looks whether the loop sleeps; the loop says that it sleeps, then looks for messages.  All four
 * are sequentially consistent, so at least one of the two sees the other.  Taking the flag down makes one sender only
 * pay for the system call. */
void rt_loop_wake(struct rt_loop *loop)
{
	const uint64_t one = 1;
	ssize_t written;

	if (!atomic_load(&loop->sleeping) || !atomic_exchange(&loop->sleeping, false))
		return;
	written = write(loop->wake.fd, &one, sizeof(one));
	(void)written; /* EAGAIN only: the counter is full, so the loop wakes anyway */
}

static void post_to_self(struct rt_loop *loop, struct rt_post *post)
{
	post->next = NULL;
	if (loop->own_first == NULL)
		loop->own_first = post;
	else
		loop->own_last->next = post;
	loop->own_last = post;
}

void rt_loop_post(struct rt_loop *loop, struct rt_post *post)
{
	struct rt_post *first;

	if (rt_loop_current() == loop) {
		post_to_self(loop, post);
		return;
	}
	first = atomic_load_explicit(&loop->posts, memory_order_relaxed);
	do
		post->next = first;
	while (!atomic_compare_exchange_weak(&loop->posts, &first, post));
	/* From here on `post` belongs to the receiver. */
	rt_loop_wake(loop);
}

bool rt_loop_has_posts(struct rt_loop *loop)
{
	return loop->own_first != NULL || atomic_load(&loop->posts) != NULL;
}

static struct rt_post *take_in_order(struct rt_loop *loop)
{
	struct rt_post *newest, *ordered = NULL;

	/* Spares an idle turn the locked instruction. */
	if (atomic_load_explicit(&loop->posts, memory_order_relaxed) == NULL)
		return NULL;
	newest = atomic_exchange(&loop->posts, NULL);
	while (newest != NULL) {
		struct rt_post *next = newest->next;

		newest->next = ordered;
		ordered = newest;
		newest = next;
	}
	return ordered;
}

static bool run_all(struct rt_post *post)
{
	const bool any = post != NULL;

	while (post != NULL) {
		struct rt_post *next = post->next;

		post->run(post);
		post = next;
	}
	return any;
}

/* What these messages post in turn waits for the next turn, so that nothing can keep a turn from ending. */
bool rt_loop_run_posts(struct rt_loop *loop)
{
	struct rt_post *own = loop->own_first;
	bool any;

	loop->own_first = NULL;
	any = run_all(own);
	return run_all(take_in_order(loop)) || any;
}
