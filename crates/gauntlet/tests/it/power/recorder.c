/*
 * Preloaded into the server under test. Writes down, in order, what the process does to the files
 * of one database: every write with its data, every change of size, every sync with its begin and
 * its end. The test rebuilds from it what a power cut would have left.
 *
 * A write is noted after it was done and a sync before it is begun, so a write that stands before
 * the begin of a sync was complete when that sync began. The end of a sync is noted before SQLite
 * hears of it. The test appends what was acknowledged to the same file: the file's order is the
 * one order of all.
 *
 * RECORDER_LOG     where to write it down
 * RECORDER_PREFIX  the database's path; files whose paths begin with it are watched
 * RECORDER_FULL    while a file of this name exists, watched files cannot grow: the disk is full
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FILES 65536

struct record {
    uint32_t kind;
    uint32_t name_length;
    uint64_t number;
    uint64_t data_length;
};

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static const char *names[MOST_FILES];
static const char *prefix, *full;
static char *folder;
static int log_file = -1;
static uint64_t syncs;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

static int real_open(const char *path, int flags, mode_t mode) {
    REAL(int, "open", const char *, int, ...);
    return real(path, flags, mode);
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("RECORDER_LOG");
    prefix = getenv("RECORDER_PREFIX");
    full = getenv("RECORDER_FULL");
    if (!log || !prefix) return;
    folder = strdup(prefix);
    *strrchr(folder, '/') = 0;
    log_file = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_file < 0) abort();
    syncs = (uint64_t)getpid() << 32;
}

static void note(char kind, const char *name, uint64_t number, const void *data, size_t length) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    int before = errno;
    struct record head = { (uint32_t)kind, (uint32_t)strlen(name), number, length };
    struct iovec parts[] = {
        { &head, sizeof head }, { (void *)name, head.name_length }, { (void *)data, length } };
    if (real(log_file, parts, 3) != (ssize_t)(sizeof head + head.name_length + length)) abort();
    errno = before;
}

static const char *watched(const char *path) {
    if (log_file < 0) return NULL;
    size_t length = strlen(prefix);
    if (!strncmp(path, prefix, length)) return path + length;
    return strcmp(path, folder) ? NULL : "/";
}

static const char *name_of(int fd) {
    return fd >= 0 && fd < MOST_FILES ? names[fd] : NULL;
}

static int opened(int fd, const char *path, int flags) {
    const char *name = fd >= 0 && fd < MOST_FILES ? watched(path) : NULL;
    if (name) {
        pthread_mutex_lock(&order);
        names[fd] = strdup(name);
        if (flags & O_CREAT) note('O', name, 0, "", 0);
        pthread_mutex_unlock(&order);
    }
    return fd;
}

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opened(real_open(path, flags, mode), path, flags); \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    REAL(int, "close", int);
    if (name_of(fd)) names[fd] = NULL;
    return real(fd);
}

/* How much of a write there is room for. */
static size_t room(int fd, size_t length, off_t at) {
    struct stat now;
    if (!full || access(full, F_OK) || fstat(fd, &now) || at + (off_t)length <= now.st_size)
        return length;
    /* A full disk often takes a part before it takes nothing. */
    return length >= 2048 ? length / 2 : 0;
}

static ssize_t put(int fd, const void *data, size_t length, off_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    pthread_mutex_lock(&order);
    size_t take = room(fd, length, at);
    ssize_t done = -1;
    if (take == 0 && length > 0) errno = ENOSPC;
    else done = real(fd, data, take, at);
    if (done > 0) note('W', name_of(fd), (uint64_t)at, data, (size_t)done);
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    return name_of(fd) ? put(fd, data, length, at) : real(fd, data, length, at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) {
    return pwrite(fd, data, length, at);
}

ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!name_of(fd)) return real(fd, data, length);
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = put(fd, data, length, at);
    if (done > 0) lseek(fd, at + done, SEEK_SET);
    return done;
}

int ftruncate(int fd, off_t size) {
    REAL(int, "ftruncate64", int, off_t);
    if (!name_of(fd)) return real(fd, size);
    pthread_mutex_lock(&order);
    int result = real(fd, size);
    if (!result) note('T', name_of(fd), (uint64_t)size, "", 0);
    pthread_mutex_unlock(&order);
    return result;
}

int ftruncate64(int fd, off_t size) {
    return ftruncate(fd, size);
}

static int sync_with(int (*real)(int), int fd) {
    const char *name = name_of(fd);
    if (!name) return real(fd);
    pthread_mutex_lock(&order);
    uint64_t number = ++syncs;
    note('S', name, number, "", 0);
    pthread_mutex_unlock(&order);
    int result = real(fd);
    if (!result) {
        pthread_mutex_lock(&order);
        note('E', name, number, "", 0);
        pthread_mutex_unlock(&order);
    }
    return result;
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    return sync_with(real, fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return sync_with(real, fd);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    const char *name = watched(path);
    if (!name) return real(path);
    pthread_mutex_lock(&order);
    int result = real(path);
    if (!result) note('U', name, 0, "", 0);
    pthread_mutex_unlock(&order);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    if (watched(from) || watched(to)) note('R', from, 0, "", 0);
    return real(from, to);
}
