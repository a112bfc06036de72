/* Kills the program that this library is preloaded into, at a chosen sync of its journal.
 *
 * CRASH_AT counts the syncs of files whose names end in `.jsonl`. At that one, before anything
 * relies on what was written, the program dies as by `kill -9`. CRASH_LEAVES says what is then on
 * the disk of the last write: `all` of it, `half`, or `none`, as after a loss of power.
 *
 * Only this one program is meant: what it starts inherits neither the library nor its variables.
 * A journal has one writer, so the counters need no lock.
 */

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum leaves { ALL, HALF, NONE };

static long syncs_to_go; /* 0: not armed */
static enum leaves leaves;
static long last_write; /* bytes, to a journal */

__attribute__((constructor)) static void arm(void) {
    const char *at = getenv("CRASH_AT");
    const char *what = getenv("CRASH_LEAVES");
    if (at != NULL && what != NULL) {
        syncs_to_go = strtol(at, NULL, 10);
        leaves = strcmp(what, "all") == 0 ? ALL : strcmp(what, "half") == 0 ? HALF : NONE;
    }
    unsetenv("CRASH_AT");
    unsetenv("CRASH_LEAVES");
    unsetenv("LD_PRELOAD");
}

static int is_journal(int file) {
    static const char end[] = ".jsonl";
    char link[64];
    char name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, name, sizeof name);
    const ssize_t ending = sizeof end - 1;
    return length > ending && memcmp(name + length - ending, end, ending) == 0;
}

static void lose(int file, off_t bytes) {
    struct stat now;
    if (fstat(file, &now) != 0 || ftruncate(file, now.st_size - bytes) != 0) {
        abort();
    }
}

static int synced(int file, long call) {
    if (syncs_to_go > 0 && is_journal(file) && --syncs_to_go == 0) {
        /* Half is rounded up: at least the end of the last line is gone. */
        lose(file, leaves == ALL ? 0 : leaves == HALF ? (last_write + 1) / 2 : last_write);
        kill(getpid(), SIGKILL);
    }
    return (int)syscall(call, file);
}

int fsync(int file) { return synced(file, SYS_fsync); }

int fdatasync(int file) { return synced(file, SYS_fdatasync); }

ssize_t write(int file, const void *bytes, size_t length) {
    const long written = syscall(SYS_write, file, bytes, length);
    if (syncs_to_go > 0 && written > 0 && is_journal(file)) {
        last_write = written;
    }
    return written;
}
