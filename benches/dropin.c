/* The agent and the floor of benches/dropin.py.
 *
 * Compiled with -DBARE it is the agent that exits at once, without even a C library: what that
 * costs to start is no cost of any side, and drowns theirs where CPUID is slow (in virtual
 * machines).
 *
 * As an agent (the program's name is "claude"), the variable AGENT says what to do:
 *   quick       exit at once
 *   quiet:S     sleep S seconds without a word
 *   flood:N     write N bytes in lines of 80
 *   stamp       write the monotonic clock in nanoseconds, and exit
 * As "floor COUNT WORKERS FOLDER PROGRAM" it runs PROGRAM COUNT times, WORKERS at a time, with
 * two pipes and a log file each, and prints its own wall time and CPU time in seconds; and the
 * median of the nanoseconds between the stamp of a child, where it writes one, and its end here.
 */
#ifdef BARE
void _start(void) {
#if defined __x86_64__
    __asm__ volatile("syscall" : : "a"(231L), "D"(0L));
#elif defined __aarch64__
    register long number __asm__("x8") = 94, code __asm__("x0") = 0;
    __asm__ volatile("svc 0" : : "r"(number), "r"(code));
#else
#error "unknown machine"
#endif
    __builtin_unreachable();
}
#else
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int agent(const char *what) {
    if (!strncmp(what, "quiet:", 6)) {
        struct timespec pause = {atoi(what + 6), 0};
        nanosleep(&pause, NULL);
    } else if (!strncmp(what, "flood:", 6)) {
        static char block[80 * 800];
        memset(block, 'x', sizeof block);
        for (size_t i = 79; i < sizeof block; i += 80) block[i] = '\n';
        for (long long left = atoll(what + 6); left > 0;) {
            size_t size = left < (long long)sizeof block ? (size_t)left : sizeof block;
            ssize_t done = write(1, block, size);
            if (done < 0) return 1;
            left -= done;
        }
    } else if (!strcmp(what, "stamp")) {
        char text[32];
        int size = snprintf(text, sizeof text, "%lld\n", now());
        return write(1, text, size) != size;
    }
    return 0;
}

struct slot { pid_t pid; int out, err, log; long long stamp; };

static void start(struct slot *slot, int index, const char *folder, char *program) {
    int out[2], err[2];
    char path[4096], head[256];
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) exit(1);
    snprintf(path, sizeof path, "%s/%d.log", folder, index);
    slot->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int size = snprintf(head, sizeof head, "Process: %d\n", index);
    if (write(slot->log, head, size) != size) exit(1);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    char *args[] = {"claude", NULL};
    if (posix_spawn(&slot->pid, program, &actions, NULL, args, environ)) exit(1);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    slot->out = out[0];
    slot->err = err[0];
}

static int drain(int *fd, long long *stamp) {
    static char buffer[65536];
    ssize_t size = read(*fd, buffer, sizeof buffer - 1);
    if (size > 0) {
        buffer[size] = 0;
        if (stamp) *stamp = atoll(buffer);
        return 0;
    }
    close(*fd);
    *fd = -1;
    return 1;
}

static int compare(const void *a, const void *b) {
    const long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

static int loop(int count, int workers, const char *folder, char *program) {
    struct slot *slots = calloc(workers, sizeof *slots);
    struct pollfd *fds = calloc(2 * workers, sizeof *fds);
    long long *delays = calloc(count, sizeof *delays);
    int started = 0, ended = 0;
    long long begin = now();
    while (ended < count) {
        for (int i = 0; i < workers; i++)
            if (!slots[i].pid && started < count) start(&slots[i], started++, folder, program);
        for (int i = 0; i < workers; i++) {
            fds[2 * i] = (struct pollfd){slots[i].pid ? slots[i].out : -1, POLLIN, 0};
            fds[2 * i + 1] = (struct pollfd){slots[i].pid ? slots[i].err : -1, POLLIN, 0};
        }
        poll(fds, 2 * workers, -1);
        for (int i = 0; i < workers; i++) {
            struct slot *slot = &slots[i];
            if (!slot->pid) continue;
            if (fds[2 * i].revents) drain(&slot->out, &slot->stamp);
            if (fds[2 * i + 1].revents) drain(&slot->err, NULL);
            if (slot->out >= 0 || slot->err >= 0) continue;
            int status;
            waitpid(slot->pid, &status, 0);
            if (write(slot->log, "Completed\n", 10) != 10) exit(1);
            close(slot->log);
            slot->pid = 0;
            delays[ended++] = now() - slot->stamp;
        }
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    const double wall = (now() - begin) / 1e9;
    qsort(delays, count, sizeof *delays, compare);
    printf("%f %f %lld\n", wall, cpu, delays[count / 2]);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && strstr(argv[0], "floor"))
        return loop(atoi(argv[1]), atoi(argv[2]), argv[3], argv[4]);
    const char *what = getenv("AGENT");
    return agent(what ? what : "quick");
}
#endif
