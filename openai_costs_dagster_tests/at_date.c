/* Shifts the wall clock of every process that preloads it by OFFSET seconds. at_date.sh compiles it.
 *
 * The monotonic clock is not shifted, just as when an administrator sets the clock of a machine.
 * libfaketime 0.9.10 cannot do that: with FAKETIME_DONT_FAKE_MONOTONIC=1, time.sleep() of Python 3.11 fails with EINVAL. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define IS_WALL_CLOCK(clock) ((clock) == CLOCK_REALTIME || (clock) == CLOCK_REALTIME_COARSE)

/* Deadlines on the monotonic clock count seconds since boot and are far smaller than this value. */
#define LEAST_WALL_CLOCK_SECONDS 1000000000

static long next_syscall(long number, long a, long b, long c, long d, long e, long f) {
    static long (*next)(long, ...);
    if (!next) next = dlsym(RTLD_NEXT, "syscall");
    return next(number, a, b, c, d, e, f);
}

static struct timespec shifted(const struct timespec *moment, long seconds) {
    struct timespec other = *moment;
    if (other.tv_sec > LEAST_WALL_CLOCK_SECONDS) other.tv_sec += seconds;
    return other;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int) next_syscall(SYS_clock_gettime, clock, (long) now, 0, 0, 0, 0);
    if (!failed && IS_WALL_CLOCK(clock)) now->tv_sec += OFFSET;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void) zone;
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

/* The kernel does not know the shifted time, so deadlines on the wall clock are shifted back. */

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    static int (*next)(sem_t *, const struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec at = shifted(deadline, -(OFFSET));
    return next(semaphore, &at);
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict deadline) {
    static int (*next)(sem_t *, clockid_t, const struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "sem_clockwait");
    struct timespec at = shifted(deadline, -(OFFSET));
    return next(semaphore, clock, &at);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!next) next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"); /* x86-64 also has an older version of this symbol. */
    if (!next) next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec at = shifted(deadline, -(OFFSET));
    return next(condition, mutex, &at);
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict deadline) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    struct timespec at = shifted(deadline, -(OFFSET));
    return next(condition, mutex, clock, &at);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *rest) {
    struct timespec at = flags & TIMER_ABSTIME ? shifted(request, -(OFFSET)) : *request;
    return next_syscall(SYS_clock_nanosleep, clock, flags, (long) &at, (long) rest, 0, 0) ? errno : 0;
}

long syscall(long number, ...) {
    va_list arguments;
    va_start(arguments, number);
    long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
    long d = va_arg(arguments, long), e = va_arg(arguments, long), f = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_clock_gettime) return clock_gettime((clockid_t) a, (struct timespec *) b);
    if (number == SYS_futex && (b & FUTEX_CLOCK_REALTIME) && d) {
        struct timespec at = shifted((const struct timespec *) d, -(OFFSET));
        return next_syscall(number, a, b, c, (long) &at, e, f);
    }
    return next_syscall(number, a, b, c, d, e, f);
}
