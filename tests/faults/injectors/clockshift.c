/* Loaded into one process (LD_PRELOAD), moves its wall clock, and nothing else, by the nanoseconds that stand as an
 * int64 in the file $CLOCKSHIFT_FILE; whoever writes there steps the clock at once, as an operator or NTP would.
 * The monotonic clock and all waiting stay real. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static int64_t none;
static volatile int64_t *shift = &none;
static int (*really)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    if (really)
        return;
    really = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *name = getenv("CLOCKSHIFT_FILE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        shift = mapped;
    close(file);
}

int clock_gettime(clockid_t which, struct timespec *at)
{
    begin();
    int failed = really(which, at);
    if (failed || (which != CLOCK_REALTIME && which != CLOCK_REALTIME_COARSE && which != CLOCK_TAI))
        return failed;
    int64_t by = *shift;
    at->tv_sec += by / SECOND;
    at->tv_nsec += by % SECOND; /* has the sign of by */
    if (at->tv_nsec < 0) {
        at->tv_nsec += SECOND;
        at->tv_sec--;
    } else if (at->tv_nsec >= SECOND) {
        at->tv_nsec -= SECOND;
        at->tv_sec++;
    }
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into)
        *into = now.tv_sec;
    return now.tv_sec;
}
