/* Makes the disk fail, at a chosen place, for the program that this library is preloaded into.
 *
 * FAULTS_BELOW names a folder. What the program does below it to change the disk is a place: a
 * call (`open` for writing, `write`, `fsync`, `rename`, `mkdir`, `truncate`) and a file, relative
 * to the folder, with every number in it made `N`.
 *
 * FAULTS_AT is such a place, as `write issues/N.md`. From it on every call of this kind fails,
 * with the error number FAULTS_ERRNO, as on a disk that is full or read-only and stays so.
 * FAULTS_SEEN is a file to which every place is written when it is come by.
 *
 * Only this one program is meant: what it starts inherits neither the library nor its variables.
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mode.h"

#define LONGEST 4096

static char below[LONGEST];
static char place[LONGEST];
static int error_number;
static int seen = -1;
static atomic_int broken;

__attribute__((constructor)) static void arm(void) {
    const char *folder = getenv("FAULTS_BELOW");
    const char *chosen = getenv("FAULTS_AT");
    const char *number = getenv("FAULTS_ERRNO");
    const char *list = getenv("FAULTS_SEEN");
    snprintf(below, sizeof below, "%s", folder != NULL ? folder : "");
    snprintf(place, sizeof place, "%s", chosen != NULL ? chosen : "");
    error_number = number != NULL ? atoi(number) : ENOSPC;
    if (list != NULL) {
        const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
        seen = (int)syscall(SYS_openat, AT_FDCWD, list, flags, 0644);
    }
    unsetenv("FAULTS_BELOW");
    unsetenv("FAULTS_AT");
    unsetenv("FAULTS_ERRNO");
    unsetenv("FAULTS_SEEN");
    unsetenv("LD_PRELOAD");
}

/* Whether a call on a file is to fail. */
static int fails(const char *call, const char *path) {
    const size_t length = strlen(below);
    if (length == 0 || strncmp(path, below, length) != 0 || path[length] != '/') {
        return 0;
    }
    char name[2 * LONGEST];
    size_t end = (size_t)snprintf(name, LONGEST, "%s ", call);
    for (const char *at = path + length + 1; *at != '\0' && end < LONGEST; ++at) {
        if (!isdigit((unsigned char)*at)) {
            name[end++] = *at;
        } else if (name[end - 1] != 'N') {
            name[end++] = 'N';
        }
    }
    name[end] = '\0';
    if (strcmp(name, place) == 0) {
        broken = 1;
    }
    if (seen >= 0) {
        name[end] = '\n';
        syscall(SYS_write, seen, name, end + 1);
    }
    if (broken) {
        errno = error_number;
    }
    return broken;
}

static int fails_open_file(const char *call, int file) {
    char link[64];
    char path[LONGEST];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) {
        return 0;
    }
    path[length] = '\0';
    return fails(call, path);
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    const int writes = flags & (O_WRONLY | O_RDWR | O_CREAT);
    if (writes && fails("open", path)) {
        return -1;
    }
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return opened(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return opened(folder, path, flags | O_LARGEFILE, mode);
}

ssize_t write(int file, const void *bytes, size_t length) {
    if (fails_open_file("write", file)) {
        return -1;
    }
    return syscall(SYS_write, file, bytes, length);
}

int fsync(int file) { return fails_open_file("fsync", file) ? -1 : (int)syscall(SYS_fsync, file); }

int fdatasync(int file) {
    return fails_open_file("fsync", file) ? -1 : (int)syscall(SYS_fdatasync, file);
}

int ftruncate64(int file, off64_t length) {
    return fails_open_file("truncate", file) ? -1 : (int)syscall(SYS_ftruncate, file, length);
}

int rename(const char *from, const char *to) {
    return fails("rename", to) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int mkdir(const char *path, mode_t mode) {
    /* What is there already cannot fail for want of space. */
    struct stat known;
    if (stat(path, &known) != 0 && fails("mkdir", path)) {
        return -1;
    }
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
